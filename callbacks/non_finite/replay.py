"""Write, read and repeat a step that was not finite: the file `black_box.pt`."""

from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule

from callbacks.non_finite.trace import NonFiniteOrigin, trace_step
from foundation.errors import UserError
from foundation.files import replacing

KEYS = {"fault", "batches", "random", "buffers", "state_dict", "precision", "accumulate_grad_batches", "config"}


def write_black_box(path: Path, content: dict[str, Any]) -> None:
    """Write the file of a step atomically, as plain tensors and numbers without pickled code."""
    plain = dict(content)
    plain["fault"] = asdict(content["fault"]) if content["fault"] is not None else None
    plain["random"] = [{**state, "numpy": _plain(state["numpy"])} for state in content["random"]]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        torch.save(plain, new)


def _plain(state: Any) -> list[Any]:
    name, keys, *rest = state
    return [name, np.asarray(keys).tolist(), *rest]


def read_black_box(path: Path) -> dict[str, Any]:
    """Read the file of a step.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is not a black box.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no black box at {path}: BlackBox writes black_box.pt into the run's folder.")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = shorten(" ".join(str(error).split()), 120, placeholder=" …")
        raise UserError(
            f"{path} cannot be read as a black box, a file written by callbacks.BlackBox: {reason}"
        ) from error
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise UserError(f"{path} is no black box: expected a file written by callbacks.BlackBox.")
    for state in content["random"]:
        name, keys, *rest = state["numpy"]
        state["numpy"] = (name, np.array(keys, dtype=np.uint32), *rest)
    fault = content["fault"]
    content["fault"] = NonFiniteOrigin(**{**fault, "loss": tuple(fault["loss"])}) if fault else None
    return content


def replay(path: Path, module: LightningModule, **options: Any) -> NonFiniteOrigin | None:
    """Repeat the step of a black box on a copy of the module; return its first non-finite value.

    Args:
        path: `black_box.pt`.
        module: Built as in the run; its weights are not changed.
        **options: Of the trainer; by default those of the file, on one device.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is not a black box, or one of another network.
    """
    content = read_black_box(path)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise UserError(f"{path} is of another network: {' '.join(str(error).split())}") from error
    if getattr(module, "num_classes", 0) is None:
        module.num_classes = content.get("num_classes")  # type: ignore[assignment]  # no data module sets it here
    defaults = {"devices": 1, "accumulate_grad_batches": content["accumulate_grad_batches"]}
    if "plugins" not in options:
        defaults["precision"] = content["precision"]
    try:
        return trace_step(module, content["batches"], content["random"], content["buffers"], defaults | options)
    finally:
        module.load_state_dict(before)
