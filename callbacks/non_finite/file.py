"""The file of a step that was not finite: everything that is needed to repeat it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule

from callbacks.non_finite.trace import Fault, trace_step
from foundation.errors import UserError
from foundation.files import replacing

KEYS = {"fault", "batches", "random", "buffers", "state_dict", "precision", "accumulate_grad_batches", "config"}


def write_black_box(path: Path, content: dict[str, Any]) -> None:
    """Write what `read_black_box` reads, whole or not at all; plain tensors and numbers, no code."""
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
        UserError: It is no black box.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no black box at {path}: BlackBox writes black_box.pt into the run's folder.")
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read as a black box: {error}") from error
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise UserError(f"{path} is no black box: expected a file that callbacks.BlackBox wrote.")
    for state in content["random"]:
        name, keys, *rest = state["numpy"]
        state["numpy"] = (name, np.array(keys, dtype=np.uint32), *rest)
    fault = content["fault"]
    content["fault"] = Fault(**{**fault, "loss": tuple(fault["loss"])}) if fault else None
    return content


def replay(path: Path, module: LightningModule, **options: Any) -> Fault | None:
    """Repeat the step of a black box on a copy of the module, and say where it is first not finite.

    Args:
        path: `black_box.pt`.
        module: Made as that of the run; its weights are replaced by those of the file in a copy.
        **options: Of the trainer; by default those of the file, on one device.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is no black box, or one of another network.
    """
    content = read_black_box(path)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    try:
        module.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        raise UserError(f"{path} is of another network: {' '.join(str(error).split())}") from error
    if getattr(module, "num_classes", 0) is None:
        module.num_classes = content.get("num_classes")  # type: ignore[assignment]  # there is no data here that would say it
    defaults = {"devices": 1, "accumulate_grad_batches": content["accumulate_grad_batches"]}
    if "plugins" not in options:
        defaults["precision"] = content["precision"]
    try:
        return trace_step(module, content["batches"], content["random"], content["buffers"], defaults | options)
    finally:
        module.load_state_dict(before)
