"""Hooks of every step that a callback leaves empty, taken out while a fit runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lightning.pytorch import Callback

EVERY_STEP = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


@contextmanager
def idle_hooks_skipped(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Have the trainer pass over what does nothing, as it passes over every hook that cannot be called.

    A run has ten callbacks, and six hooks a step: most of the sixty calls reach the empty method that Lightning's
    `Callback` has.

    Args:
        callbacks: Whose hooks are tried; one that has its own of a name, in its class or set on it, keeps it.

    Example:
        >>> callback = Callback()
        >>> with idle_hooks_skipped([callback]):
        ...     callable(callback.on_after_backward)
        False
        >>> callable(callback.on_after_backward)
        True
    """
    idle = [
        (callback, name)
        for callback in callbacks
        for name in EVERY_STEP
        if name not in vars(callback) and getattr(type(callback), name, None) is getattr(Callback, name)
    ]
    for callback, name in idle:
        setattr(callback, name, None)
    try:
        yield
    finally:
        for callback, name in idle:
            vars(callback).pop(name, None)
