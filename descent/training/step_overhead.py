"""Hooks of every step that a callback leaves empty, taken out while a fit runs."""

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from lightning.fabric.accelerators.cuda import num_cuda_devices
from lightning.pytorch import Callback
from lightning.pytorch.profilers import PassThroughProfiler

from foundation.compat.lightning import hooks_skipped

SWITCH = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def gpu_checked_once() -> Iterator[None]:
    """Without a GPU, have torch remember that there is none.

    Every `optimizer.step` of torch asks whether a GPU is there. Lightning has it ask NVML, so that asking does not
    start CUDA before a fork; where no driver is installed, NVML is looked for on the disk each time (30 to 100 µs).
    Where there is no GPU nothing can be started, and the other way takes half a microsecond.
    """
    before = os.environ.get(SWITCH)
    if before is None or num_cuda_devices() > 0:
        yield
        return
    del os.environ[SWITCH]
    try:
        yield
    finally:
        os.environ[SWITCH] = before


_NOTHING: AbstractContextManager[Any] = nullcontext()


class NoProfiler(PassThroughProfiler):
    """Lightning's profiler that does nothing, without the generator that it makes for each of a step's hooks.

    Lightning opens a profiler's context for each hook of each callback: a hundred times a step, a tenth of a small
    network's step.

    Example:
        >>> with NoProfiler().profile("anything"):
        ...     pass
    """

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        """The same nothing every time."""
        return _NOTHING


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
    with hooks_skipped(idle):
        yield
