"""Compare the config of a resumed run with the one that its checkpoint was trained with."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from callbacks.checkpointing.metadata import KEY
from foundation.errors import UserError
from lightning_modules.resuming.comparison import shown
from lightning_modules.resuming.settings import KEY as OPTIMIZERS

ELSEWHERE = (
    "ckpt_path", "config", "experiment", "preflight", "target", "weights_only", "checkpoint", "model.weights",
    "trainer.accelerator", "trainer.accumulate_grad_batches", "trainer.barebones", "trainer.default_root_dir",
    "trainer.devices", "trainer.enable_", "trainer.limit_", "trainer.log_every_n_steps", "trainer.logger",
    "trainer.max_", "trainer.min_", "trainer.num_nodes", "trainer.num_sanity_val_steps", "trainer.plugins",
    "trainer.precision", "trainer.profiler", "trainer.strategy",
)  # fmt: skip
"""Keys without a line here: they change no result, or `ExactResume` compares what follows from them."""
OPTIMIZATION = ("optimizer", "scheduler", "parameter_groups")
"""Ends of the keys of a module that `ResumedSettings` compares."""


def changes(checkpoint: Mapping[str, Any], text: str, path: Path, drawn_seed: bool = False) -> list[str]:
    """Return a line for each setting that is not the checkpoint's, and that this run trains with.

    Args:
        checkpoint: The checkpoint that is resumed.
        text: The config of this run.
        path: Of the checkpoint, for messages.
        drawn_seed: Whether `seed_everything` is true, so that the seed is a new one each time.

    Raises:
        UserError: A resumed run cannot have the new setting.
    """
    saved = (checkpoint.get(KEY) or {}).get("config")
    if not saved:
        return []
    old, new = (dict(_flat(yaml.safe_load(each))) for each in (saved, text))
    found = {key: (old[key], new[key]) for key in old if key in new and old[key] != new[key]}
    for key in ("seed_everything", "model.class_path", "data.class_path"):
        if key in found and not (key == "seed_everything" and drawn_seed):
            _refuse(key, *found.pop(key), path)
    recorded = OPTIMIZERS in checkpoint
    lines = []
    for key, (was, now) in found.items():
        if _of_optimization(key):
            if not recorded:
                _refuse(key, was, now, path)
        elif not key.startswith(ELSEWHERE) and key != "seed_everything":
            lines.append(f"Resumed with {key} {_short(was)} → {_short(now)}.")
    return lines


def _refuse(key: str, was: Any, now: Any, path: Path) -> None:
    reasons = {
        "seed_everything": "a resumed run keeps its seed, which the order of its data follows from",
        "model.class_path": "a resumed run keeps its module, whose state the checkpoint holds",
        "data.class_path": "a resumed run continues in the order of its data",
    }
    reason = reasons.get(key, "the checkpoint is of an earlier version, which cannot be resumed with another one")
    raise UserError(
        f"{key.removesuffix('.class_path')} is {_short(now)}, in the checkpoint's run it was {_short(was)}: {reason}. "
        f"Resume without that change, or start a new run from the weights alone: --model.weights {path}."
    )


def _of_optimization(key: str) -> bool:
    parts = key.split(".")
    return parts[0] == "model" and len(parts) > 1 and parts[1].endswith(OPTIMIZATION)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a config by dotted key, as one types it: without `init_args`."""
    if not isinstance(value, dict):
        yield path, value
        return
    for key, item in value.items():
        below = path if key == "init_args" else f"{path}.{key}" if path else str(key)
        yield from _flat(item, below)


def _short(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):  # callbacks
        names = [str(item.get("class_path", "?")) for item in value if isinstance(item, dict)]
        return ", ".join(name.rpartition(".")[2] for name in names)
    return shown(value) if not isinstance(value, dict) else str(value)
