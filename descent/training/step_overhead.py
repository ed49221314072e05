"""Reduce Lightning's overhead per step: empty hooks, an idle profiler, a repeated GPU check."""

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
    """Make torch's check for a GPU cheap where there is none.

    Every `optimizer.step` of torch checks for a GPU. Lightning makes it ask NVML, so that the check does not initialise
    CUDA before a fork. Without a driver torch searches the disk for NVML each time (30 to 100 µs). Without a GPU there
    is no CUDA to initialise, and the default check takes half a microsecond.
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
    """A profiler that does nothing, as Lightning's default, without creating a generator for each hook.

    Lightning opens a profiler context for each hook of each callback: a hundred times a step, which takes a tenth of a
    small network's step.

    Example:
        >>> with NoProfiler().profile("anything"):
        ...     pass
    """

    def profile(self, action_name: str) -> AbstractContextManager[Any]:  # type: ignore[override]
        """Return the same empty context every time."""
        return _NOTHING


STEP_HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)


@contextmanager
def idle_hooks_skipped(callbacks: Sequence[Callback]) -> Iterator[None]:
    """Make the trainer skip hooks that do nothing, as it skips every hook that is not callable.

    A run has ten callbacks, and six hooks per step: most of the sixty calls reach an empty method of Lightning's
    `Callback`.

    Args:
        callbacks: The trainer's callbacks; hooks that a class defines or an object sets are kept.

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
        for name in STEP_HOOKS
        if name not in vars(callback) and getattr(type(callback), name, None) is getattr(Callback, name)
    ]
    with hooks_skipped(idle):
        yield
