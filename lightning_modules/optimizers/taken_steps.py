"""Count the optimizer steps taken: a GradScaler skips some, and the callback BlackBox drops some."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def drop_step(optimizer: Optimizer, norm: Tensor) -> None:
    """Remove the gradients, so that the next step does nothing, and mark steps as dropped until `keep_steps`.

    Args:
        optimizer: The optimizer that is about to step.
        norm: Norm of the gradients, `()`.
    """
    unwrapped = inner(optimizer)
    unwrapped.dropped_norm = norm.detach()
    for group in unwrapped.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def keep_steps(optimizer: Optimizer) -> None:
    """Stop marking steps as dropped."""
    vars(inner(optimizer)).pop("dropped_norm", None)


def dropped_norm(optimizer: Optimizer) -> Tensor | None:
    """Return the norm of the gradients of this step if they were dropped, else `None`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> dropped_norm(optimizer) is None
        True
        >>> drop_step(optimizer, torch.tensor(float("inf")))
        >>> dropped_norm(optimizer)
        tensor(inf)
    """
    norm: Tensor | None = getattr(inner(optimizer), "dropped_norm", None)
    return norm


def inner(optimizer: Any) -> Any:
    """Return the optimizer inside Lightning's wrapper of manual optimization, or the optimizer itself."""
    return getattr(optimizer, "optimizer", optimizer)


class TakenSteps:
    """Count the steps that an optimizer took.

    A GradScaler skips `optimizer.step()` when a gradient is not finite, but Lightning steps the schedule nevertheless.
    Call `advanced()` before stepping the schedule. It costs one Python call per step, and does not synchronise with the
    device, except for a fused optimizer with a scaler, which skips steps on the device.

    Args:
        optimizer: The optimizer.
        taken: Number of steps taken before.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> steps = TakenSteps(optimizer)
        >>> optimizer.step()
        >>> steps.advanced(), steps.advanced(), steps.skipped(attempts=3)
        (True, False, 2)
    """

    def __init__(self, optimizer: Optimizer, taken: int = 0) -> None:
        self.taken = self._seen = taken
        optimizer.register_step_post_hook(self._count)

    def restart(self, taken: int) -> None:
        """Count on from the number of steps that a checkpoint's run had taken."""
        self.taken = self._seen = taken

    def _count(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        overflow = getattr(optimizer, "found_inf", None)  # set only while a scaler runs a fused step
        if dropped_norm(optimizer) is None and (overflow is None or not bool(overflow)):
            self.taken += 1

    def advanced(self) -> bool:
        """Return whether a step was taken since the last call."""
        before, self._seen = self._seen, self.taken
        return self.taken > before

    def skipped(self, attempts: int) -> int:
        """Return how many of `attempts` steps (`trainer.global_step` counts all attempts) were skipped."""
        return attempts - self.taken
