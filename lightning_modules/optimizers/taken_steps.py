"""Which optimizer steps were really taken: a GradScaler skips some, a BlackBox drops some."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


def drop_step(optimizer: Optimizer, norm: Tensor) -> None:
    """Take the gradients away, over which an optimizer passes, and say so until `keep_steps`.

    Args:
        optimizer: About to be stepped.
        norm: Of the gradients, `()`.
    """
    plain = inner(optimizer)
    plain.dropped_norm = norm.detach()
    for group in plain.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def keep_steps(optimizer: Optimizer) -> None:
    """The steps from now on are real ones again."""
    vars(inner(optimizer)).pop("dropped_norm", None)


def dropped_norm(optimizer: Optimizer) -> Tensor | None:
    """Norm of the gradients that this step had, if they were dropped.

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
    """The optimizer itself, where Lightning wraps it in manual optimization."""
    return getattr(optimizer, "optimizer", optimizer)


class TakenSteps:
    """Counts the steps that an optimizer really took.

    A GradScaler leaves `optimizer.step()` out when a gradient is not finite, and Lightning steps the schedule all the
    same. Ask `advanced()` before the schedule is stepped. Costs one Python call a step, and no wait for the device
    except for a fused optimizer under a scaler, whose skipping happens on the device.

    Args:
        optimizer: whose steps are counted.
        taken: steps that were taken before.

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

    def _count(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        overflow = getattr(optimizer, "found_inf", None)  # set only while a scaler calls a fused step
        if dropped_norm(optimizer) is None and (overflow is None or not bool(overflow)):
            self.taken += 1

    def advanced(self) -> bool:
        """Return whether a step was taken since this was last asked."""
        before, self._seen = self._seen, self.taken
        return self.taken > before

    def skipped(self, attempts: int) -> int:
        """Return how many of `attempts` steps (`trainer.global_step`, which counts them all) were skipped."""
        return attempts - self.taken
