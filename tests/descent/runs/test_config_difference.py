"""What of a config differs from the defaults: of the command, of a class, and of a class in a class."""

from typing import Any

import pytest
import yaml

from descent.runs.config_difference import changed_text

ADAMW = {"lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False}
DEFAULTS = {"preflight": False, "trainer": {"devices": "auto", "callbacks": None}, "checkpoint": {"mode": None}}


def spec(path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": path, "init_args": arguments}


@pytest.mark.parametrize(
    ("config", "differs"),
    [
        (DEFAULTS, {}),
        ({"preflight": True, "checkpoint": {"mode": "max"}}, {"preflight": True, "checkpoint": {"mode": "max"}}),
        ({"trainer": {"devices": "auto", "unknown": {}}}, {"trainer": {"unknown": {}}}),
        ({"model": spec("torch.optim.AdamW", **ADAMW)}, {"model": {"class_path": "torch.optim.AdamW"}}),
        ({"model": spec("torch.optim.AdamW", **ADAMW | {"betas": [0.5, 0.999]})},
         {"model": spec("torch.optim.AdamW", betas=[0.5, 0.999])}),
        ({"trainer": {"callbacks": [spec("lightning.pytorch.callbacks.Timer", interval="step", duration="1")]}},
         {"trainer": {"callbacks": [spec("lightning.pytorch.callbacks.Timer", duration="1")]}}),
        ({"model": spec("gone.Network", width=32)}, {"model": spec("gone.Network", width=32)}),
    ],
)  # fmt: skip
def test_what_differs(config: dict[str, Any], differs: dict[str, Any]) -> None:
    assert yaml.safe_load(changed_text(config, DEFAULTS)) == differs
