"""Write, read and repeat a step that was not finite: the file `black_box.pt`."""

from dataclasses import asdict, fields, replace
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule

from callbacks.non_finite.named_batches import as_objects, as_plain
from callbacks.non_finite.trace import NonFiniteOrigin, RecordedStep, trace_step
from foundation.errors import UserError
from foundation.files import replacing
from foundation.trial.world import World

KEYS = {"fault", "batches", "random", "buffers", "state_dict", "precision", "accumulate_grad_batches", "config"}


def write_black_box(path: Path, content: dict[str, Any]) -> None:
    """Write the file of a step atomically, as plain tensors and numbers without pickled code."""
    plain = dict(content)
    recorded: RecordedStep = plain.pop("recorded")
    plain |= {"first": {name: getattr(recorded, name) for name in ("step", "epoch")}}
    plain |= {
        each.name: getattr(recorded, each.name) for each in fields(recorded) if each.name not in ("step", "epoch")
    }
    plain["batches"] = [as_plain(batch) for batch in recorded.batches]
    plain["fault"] = asdict(content["fault"]) if content["fault"] is not None else None
    plain["random"] = [{**state, "numpy": _plain(state["numpy"])} for state in plain["random"]]
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


def recorded_step(content: dict[str, Any]) -> RecordedStep:
    """Return the step of a file that was read; files of earlier versions lack some of it.

    Raises:
        UserError: The class of a batch has not been imported.
    """
    known = {each.name: content[each.name] for each in fields(RecordedStep) if each.name in content}
    first = content.get("first", {name: content[name] for name in ("step", "epoch") if name in content})
    return RecordedStep(**known | first | {"batches": [as_objects(batch) for batch in content["batches"]]})


def replay(path: Path, module: LightningModule, world: World | None = None, **options: Any) -> NonFiniteOrigin | None:
    """Repeat the step of a black box on a copy of the module; return its first non-finite value.

    Args:
        path: `black_box.pt`.
        module: Built as in the run; its weights are not changed.
        world: Trainer and data module of the run; by default a trainer with Lightning's default settings.
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
        step = recorded_step(content)
        here = replace(world or World(), step=step.step, epoch=step.epoch, batch_idx=step.batch_idx)
        return trace_step(module, step, defaults | options, here)
    finally:
        module.load_state_dict(before)
