"""Gradient accumulation whose windows have the gradient of the mean over all their samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer

from foundation.compat.lightning import closes_window
from foundation.compat.torch import multiply_in_place
from lightning_modules.losses.reduction import labelled_samples


def mean_weight(loss: nn.Module, output: Tensor, target: Tensor) -> Tensor | float | None:
    """Return what the loss divides by in its mean over a batch, in samples; `None` for a loss that is a sum.

    It is the number of samples, or that of the labelled ones, each with the weight of its class, where the loss leaves
    targets out or weighs classes. A loss of your own tells it with a method `mean_weight(output, target)`.

    Args:
        loss: The loss.
        output: The network's outputs `(B, …)`.
        target: The targets as the loss gets them.

    Example:
        >>> targets = torch.tensor([0, 1, -100])
        >>> mean_weight(nn.CrossEntropyLoss(), torch.zeros(3, 2), targets)
        tensor(2.)
        >>> mean_weight(nn.CrossEntropyLoss(torch.tensor([1.0, 3.0])), torch.zeros(3, 2), targets)
        tensor(4.)
        >>> mean_weight(nn.MSELoss(), torch.zeros(3), torch.zeros(3))
        3.0
    """
    if getattr(loss, "reduction", "mean") == "sum":
        return None
    if callable(own := getattr(loss, "mean_weight", None)):
        weight: Tensor | float | None = own(output, target)
        return weight
    if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) and not target.is_floating_point():
        return labelled_samples(target, loss.ignore_index, loss.weight)
    return float(len(output))


class AccumulationWindow:
    r"""Weigh the batches of an accumulation window, so that its gradient is that of the mean over all its samples.

    Batch $i$ has the mean $m_i$ over a weight $w_i$ (see `mean_weight`). The gradient of the window is

    $$g = \frac{\sum_i w_i \nabla m_i}{\sum_i w_i}$$

    over the batches of all processes. Lightning has $\frac1A \sum_i \nabla m_i$ with $A$ = `accumulate_grad_batches`,
    also in the last window of an epoch, which may have fewer than $A$ batches, and for batches of different sizes. Here
    each loss is multiplied by $w_i / c$ before its backward pass, $c$ the size of the first batch, and the sum of
    gradients by $A\,c / \sum_i w_i$ after the last one. For full windows of equal batches both factors are exactly 1.

    Nothing is read from the device. Several processes add up their weights once per window.
    """

    def __init__(self) -> None:
        self.exact = True
        self.reference: int | None = None  # c
        self.total: Tensor | float = 0.0  # Σ w_i / c
        self._active = False
        self._weight: Tensor | float | None = 1.0

    # -- a batch -------------------------------------------------------------------------------------------------------

    def restart(self) -> None:
        """Forget the windows of an earlier fit."""
        self.reference, self.total = None, 0.0

    def begin_batch(self, trainer: Trainer, batch_idx: int, samples: int) -> None:
        """Note the size of a batch; begin a window where Lightning does."""
        size = trainer.accumulate_grad_batches
        self._active = self.exact and size > 1 and not trainer.strategy.handles_gradient_accumulation
        if not self._active:
            return
        if batch_idx % size == 0:
            self.total = 0.0
        if self.reference is None:
            self.reference = int(trainer.strategy.broadcast(max(samples, 1)))
        self._weight = float(samples)

    def weigh(self, loss: nn.Module, output: Tensor, target: Tensor) -> None:
        """Replace the batch's size by the weight that the loss's mean has."""
        if self._active:
            self._weight = mean_weight(loss, output, target)

    def set_weight(self, weight: Tensor | float | None) -> None:
        """Replace the batch's size by a weight that is known; None for a loss that is a sum."""
        self._weight = weight

    def scaled(self, loss: Tensor) -> Tensor:
        """Return the loss times the batch's weight, and add that to the window's."""
        if not self._active or self._weight is None:
            return loss
        weight = self._weight
        if isinstance(weight, Tensor):
            weight = weight.detach().to(torch.float64 if loss.dtype == torch.float64 else torch.float32)
        share = weight / (self.reference or 1)
        self.total = self.total + share
        if not isinstance(share, Tensor):
            return loss if share == 1 else loss * share
        return loss * share.to(loss.device)

    # -- a window ------------------------------------------------------------------------------------------------------

    def close_after(self, trainer: Trainer, optimizers: Iterable[Optimizer]) -> None:
        """After the last batch of a window: divide the gradients by the window's weight."""
        if not self._active or self._weight is None or not closes_window(trainer):
            return
        factor = self._factor(trainer)
        if not isinstance(factor, Tensor) and factor == 1:
            return
        gradients: dict[tuple[torch.device, torch.dtype], list[Tensor]] = {}
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                for gradient in (p.grad for p in group["params"] if p.grad is not None):
                    local = getattr(gradient, "to_local", lambda gradient=gradient: gradient)()  # of FSDP2's shards
                    gradients.setdefault((local.device, local.dtype), []).append(local)
        for (device, _), tensors in gradients.items():
            multiply_in_place(tensors, factor.to(device) if isinstance(factor, Tensor) else factor)

    def _factor(self, trainer: Trainer) -> Tensor | float:
        total, processes = self.total, trainer.world_size
        if processes > 1:
            device = trainer.strategy.root_device
            # Not torch.tensor(…): a copy to the device would make the host wait.
            total = total.to(device) if isinstance(total, Tensor) else torch.full((), total, device=device)
            total = trainer.strategy.reduce(total.clone(), reduce_op="sum")
        batches = trainer.accumulate_grad_batches * processes  # Lightning divides by one, its strategies by the other
        if isinstance(total, Tensor):
            return torch.where(total > 0, batches / total, 1.0)
        return batches / total if total > 0 else 1.0

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def state_dict(self, trainer: Trainer) -> dict[str, Any]:
        """Return what an exact resume needs; `{}` for a run of an earlier version, which keeps Lightning's weights."""
        if not self.exact:
            return {}
        total = self.total.clone() if isinstance(self.total, Tensor) else self.total
        return {"reference": self.reference, "total": total if trainer.world_size == 1 else 0.0}

    def load_state_dict(self, state: dict[str, Any], trainer: Trainer) -> None:
        """Restore a state."""
        self.exact = bool(state)
        self.reference, self.total = state.get("reference"), state.get("total", 0.0)
        if not self.exact and trainer.accumulate_grad_batches > 1:
            rank_zero_info(
                "The run began with a version that divides the gradients of every accumulation window by "
                f"accumulate_grad_batches ({trainer.accumulate_grad_batches}), also in the last window of an epoch: it "
                "continues so."
            )

    def forget_open_window(self, optimizers: Iterable[Optimizer]) -> None:
        """Begin with no weight if the checkpoint's gradients of an open window were not restored."""
        parameters = (p for optimizer in optimizers for group in optimizer.param_groups for p in group["params"])
        if all(parameter.grad is None for parameter in parameters):
            self.total = 0.0
