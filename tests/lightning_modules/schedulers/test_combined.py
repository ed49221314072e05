"""torch's SequentialLR and ChainedScheduler, from a config too."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from foundation.errors import UserError
from lightning_modules.schedulers import Combined, RunLength, build_schedule
from tests.descent.helpers import SHORT, refused, run

LENGTH = RunLength(steps=6, epochs=2, steps_per_epoch=3)
STEP = partial(lr_scheduler.StepLR, step_size=1)


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"schedulers": [], "interval": "step"}, "at least one"),
        ({"schedulers": [STEP], "interval": "batch"}, "interval must be"),
        ({"schedulers": [STEP, STEP], "interval": "step", "milestones": []}, "one fewer than the 2"),
        ({"schedulers": [STEP] * 3, "interval": "step", "milestones": [5, 3]}, "ascending"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Combined(**arguments)


def test_a_plateau_is_refused() -> None:
    with pytest.raises(UserError, match="ReduceLROnPlateau follows a monitored value"):
        Combined([STEP, lr_scheduler.ReduceLROnPlateau], "epoch").build(sgd(), LENGTH)


@pytest.mark.parametrize("kind", [lr_scheduler.ChainedScheduler, lr_scheduler.SequentialLR])
def test_the_classes_themselves_are_refused(kind: Any) -> None:
    with pytest.raises(UserError, match=f"{kind.__name__} takes schedulers that have their optimizer already"):
        build_schedule(kind, sgd(), LENGTH)


CONFIG = """
class_path: {kind}
init_args:
  {more}
  milestones: [1]
  schedulers:
    - class_path: torch.optim.lr_scheduler.ConstantLR
      init_args: {{factor: 0.1, total_iters: 1}}
    - class_path: torch.optim.lr_scheduler.ExponentialLR
      init_args: {{gamma: 0.5}}
"""


def test_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ours.yaml").write_text(CONFIG.format(kind="Combined", more="interval: epoch"))
    done = run([*SHORT, "--model.scheduler=ours.yaml"])
    assert done.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.0005)
    again = run(["fit", "-c", "runs/quickstart/0/config.yaml", "--ckpt_path=last", "--trainer.max_epochs=3"])
    assert again.trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.00025)


def test_the_config_of_torchs_own_class_gets_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("theirs.yaml").write_text(CONFIG.format(kind="torch.optim.lr_scheduler.SequentialLR", more=""))
    error = refused([*SHORT, "--model.scheduler=theirs.yaml"], capsys)
    assert "use lightning_modules.schedulers.Combined" in error
