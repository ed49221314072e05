"""Optimizers that evaluate a batch several times in a step, of which torch has LBFGS."""

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import LBFGS

from foundation.errors import UserError
from foundation.factories import class_of


def check_closure(
    optimizer: Callable[..., Any], module: nn.Module, accumulated: int = 1, clip_val: float | None = None
) -> None:
    """Check a run whose optimizer evaluates each batch several times.

    Args:
        optimizer: The optimizer class without its parameters.
        module: The module, in the memory format in which it will be trained.
        accumulated: Batches whose gradients are accumulated for a step, ≥ 1.
        clip_val: Bound to which gradients are clipped; None or 0: they are not.

    Raises:
        UserError: It is LBFGS, and it would fail or minimise another function.
    """
    kind = class_of(optimizer)
    if not (isinstance(kind, type) and issubclass(kind, LBFGS)):
        return
    if any(not parameter.is_contiguous() for parameter in module.parameters()):
        raise UserError("LBFGS needs weights in the usual memory format: set --model.channels_last false.")
    if accumulated > 1:
        raise UserError(
            f"LBFGS evaluates a batch several times in a step, and accumulate_grad_batches {accumulated} would add all "
            "their gradients up: set --trainer.accumulate_grad_batches 1, and a larger --data.batch_size."
        )
    if clip_val:
        raise UserError(
            "LBFGS takes the curvature of the loss from differences of gradients, which clipping falsifies: set "
            "--trainer.gradient_clip_val null, and limit its steps with --model.optimizer.line_search_fn strong_wolfe "
            "or a smaller --model.optimizer.lr."
        )
