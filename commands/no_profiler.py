"""What the trainer asks for when nobody profiles."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from lightning.pytorch.profilers import PassThroughProfiler

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
