"""An error when an object of the config is first used: which key names its class, and what is wrong with it.

Many values are read only by the first step: torch takes `label_smoothing: null` and refuses it in the forward pass.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import Trainer

from descent.config_errors.constructor import EXPLAINS_ITSELF
from descent.config_errors.given import LIMIT, shorten
from descent.config_errors.named_class import raised
from descent.config_errors.numbers import nodes, typed_key

OURS = ("lightning_modules", "datamodules", "callbacks", "foundation", "descent")
NOT_OF_A_VALUE = (torch.OutOfMemoryError, OSError)
TRACEBACK = "DESCENT_TRACEBACK=1 shows the traceback."


def explain_first_use(error: Exception, config: Namespace, trainer: Trainer | None) -> str | None:
    """Say in one line which key's object raised an error when it was first used.

    Args:
        error: What was raised while a command ran.
        config: The command's config.
        trainer: The command's trainer. An object that has served for more than a step is not at fault.

    Returns:
        The line; `None` if the error comes from no object of the config, from a later step, or from a defect of a
        class of ours.
    """
    if isinstance(error, NOT_OF_A_VALUE) or "Original Traceback" in str(error):
        return None
    if trainer is not None and trainer.global_step > 1:
        return None
    found = _culprit(error.__traceback__, dict(_classes(config)))
    if found is None:
        return None
    kind, key, given = found
    text = " ".join(str(error).partition("Exception raised from")[0].split())  # torch's frames in C++
    if kind.__module__.partition(".")[0] not in (*OURS, "torch"):
        return shorten(f"{key}: {kind.__module__}.{kind.__qualname__} {raised(error)}", LIMIT)
    if not isinstance(error, EXPLAINS_ITSELF) or not text:
        return None
    names = [name for name in given if re.search(rf"\b{re.escape(name)}\b", text)]
    key = f"{key}.{max(names, key=len)}" if names else key
    return f"{key}: {shorten(text, LIMIT - len(key) - len(TRACEBACK) - 4).rstrip('.')}. {TRACEBACK}"


def _classes(config: Namespace) -> Iterator[tuple[type, tuple[str, dict[str, Any]]]]:
    """Yield the classes that a config names, each with its key and its arguments."""
    for path, node in nodes(config.as_dict()):
        module, _, name = str(node.get("class_path", "")).rpartition(".")
        kind = getattr(import_module(module), name, None) if module else None
        if isinstance(kind, type):
            yield kind, (typed_key(path), node.get("init_args") or {})


def _culprit(
    frames: TracebackType | None, classes: dict[type, tuple[str, dict[str, Any]]]
) -> tuple[type, str, dict[str, Any]] | None:
    """Return the class of the innermost method that ran, among some classes."""
    found: type | None = None
    while frames is not None:
        kind = type(frames.tb_frame.f_locals.get("self"))
        if kind in classes and not _is_base_code(frames.tb_frame.f_code.co_filename):
            found = kind
        frames = frames.tb_next
    return None if found is None else (found, *classes[found])


def _is_base_code(file: str) -> bool:
    """Whether a frame is Lightning's own, such as a hook that its Trainer calls."""
    return "lightning" in Path(file).parts and "site-packages" in Path(file).parts
