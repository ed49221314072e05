"""The loss of a batch whose samples count differently, because some stand in for samples that an epoch leaves out."""

import copy
from typing import Any, Self

import torch
from torch import Tensor, nn

from foundation.errors import UserError
from lightning_modules.losses.reduction import target_weights


class WeighedSamples:
    r"""Weigh the samples of a batch in its loss.

    Sample $i$ has the weight $w_i$ and the loss $l_i$, and its targets the weight $c_i$ in the loss's own mean (of its
    class; 0 if it is not labelled), by default 1. The loss of a batch of B samples is

    $$\frac{\sum_i w_i}{B} \cdot \frac{\sum_i w_i l_i}{\sum_i w_i c_i},$$

    which is $\frac1B \sum_i w_i l_i$ where all $c_i$ are 1. With weights of 1 it is the loss's own mean.

    A data module that weighs samples adds two tensors `(B,)` to the training batch: weights, and the numbers of the
    samples. It gets each sample's loss back.
    """

    def __init__(self) -> None:
        self.weights: Tensor | None = None
        self.mean: Tensor | None = None
        """The loss's own mean over the batch, in which every sample counts the same, without a gradient."""
        self._rows: Tensor | None = None
        self._losses: Tensor | None = None
        self._by_sample: tuple[nn.Module, nn.Module] | None = None  # the loss, and the same one without a reduction

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a new one, for a copy of the module."""
        return type(self)()

    def restart(self, loss: nn.Module, data: Any) -> None:
        """Begin a fit.

        Args:
            loss: The loss of the module.
            data: The data module of the fit.

        Raises:
            UserError: The data weighs samples, and the loss has none of its own for each.
        """
        self.begin_batch([])
        self._by_sample = None
        choice = getattr(data, "sample_choice", None)
        if choice is not None and choice.pruning is not None and (obstacle := not_per_sample(loss)):
            raise of_no_sample(loss, obstacle)

    def begin_batch(self, extra: list[Tensor]) -> None:
        """Note what a batch has in addition to inputs and targets: nothing, or weights and sample numbers."""
        self.weights, self._rows = extra if extra else (None, None)
        self.mean = self._losses = None

    def loss(self, loss: nn.Module, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor | float | None]:
        """Return the weighed loss of the batch, `()`, and the batch's weight in an accumulation window.

        Args:
            loss: The loss.
            output: The network's outputs.
            target: The targets as the loss gets them.

        Raises:
            UserError: The loss without a reduction is not that of each sample; seen in the first batch.
        """
        assert self.weights is not None
        first = self._by_sample is None or self._by_sample[0] is not loss
        if first:
            self._by_sample = loss, without_reduction(loss)
        values = self._by_sample[1](output, target)  # type: ignore[index]
        if first:
            check_shape(loss, values, len(self.weights))
        weighed = self._weigh(loss, values, target, self.weights)
        if first:
            check_mean(loss, self.mean, output, target)
        return weighed

    def _weigh(
        self, loss: nn.Module, values: Tensor, target: Tensor, weights: Tensor
    ) -> tuple[Tensor, Tensor | float | None]:
        samples = len(weights)
        values = values.reshape(samples, -1)
        if getattr(loss, "reduction", "mean") == "sum":
            self._losses = values.sum(dim=1)
            self.mean = self._losses.detach().sum()
            return (weights * self._losses).sum(), None
        self._losses = values.mean(dim=1)
        counts = weights_of_targets(loss, target)
        if counts is None:
            self.mean = self._losses.detach().mean()
            return (weights * self._losses).mean(), float(samples)
        counts = counts.reshape(samples, -1).mean(dim=1)
        self.mean = self._losses.detach().sum() / nonzero(counts.sum())
        total, mean = (weights * counts).sum(), weights.mean()
        return mean * (weights * self._losses).sum() / nonzero(total), total / mean

    def end_batch(self, module: nn.Module, data: Any) -> None:
        """Give the data module the loss of each sample.

        Args:
            module: For the message.
            data: The data module; none in a repetition of a step outside a run.

        Raises:
            UserError: The loss of the batch was computed in another way.
        """
        if self.weights is None or len(self.weights) == 0:
            return
        if self._losses is None:
            raise UserError(
                f"data.pruning: {type(module).__name__}.criterion does not call super().criterion, which weighs the "
                "samples: let it do so, or remove data.pruning."
            )
        if data is not None:
            data.sample_choice.record(self._rows, self._losses)
        self.weights = self._rows = self._losses = None


def nonzero(total: Tensor) -> Tensor:
    """Return a divisor, 1 where it is 0: nothing is labelled, and what it divides is 0."""
    return torch.where(total > 0, total, 1)


def weights_of_targets(loss: nn.Module, target: Tensor) -> Tensor | None:
    """Return the weight of each target in the mean of a loss, in the shape of the targets; None if all are 1.

    A loss of your own that leaves targets out or weighs classes tells it with a method `target_weights(target)`.

    Example:
        >>> weights_of_targets(nn.CrossEntropyLoss(torch.tensor([1.0, 3.0])), torch.tensor([0, 1, -100]))
        tensor([1., 3., 0.])
    """
    if callable(own := getattr(loss, "target_weights", None)):
        weights: Tensor | None = own(target)
        return weights
    if isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)) and not target.is_floating_point():
        return target_weights(target, loss.ignore_index, loss.weight)
    return None


def not_per_sample(loss: nn.Module) -> str | None:
    """Return why a loss cannot be taken for each sample, as far as its class tells; None if it can.

    Example:
        >>> not_per_sample(nn.MSELoss()) is None
        True
    """
    if not getattr(loss, "per_sample", True):
        return "its value for a batch is not a mean over samples"
    if getattr(loss, "reduction", None) not in ("mean", "sum"):
        return f"it needs an attribute reduction, mean or sum, got {getattr(loss, 'reduction', None)!r}"
    if hasattr(loss, "mean_weight") and not hasattr(loss, "target_weights"):
        return "it has mean_weight but no target_weights, the weight of each target"
    return None


def of_no_sample(loss: nn.Module, why: str) -> UserError:
    """Return the error that a loss cannot be taken for each sample."""
    return UserError(
        f"data.pruning needs the loss of each sample, which {type(loss).__name__} does not give: {why}. Choose another "
        "loss, or remove data.pruning."
    )


def without_reduction(loss: nn.Module) -> nn.Module:
    """Return the same loss without a reduction; it shares buffers and hooks with the original."""
    copied = copy.copy(loss)
    copied.reduction = "none"  # type: ignore[assignment]
    if (forward := vars(copied).get("forward")) is not None:  # compiled for the original
        vars(copied)["forward"] = copy.deepcopy(forward, {id(loss): copied})
    return copied


def check_shape(loss: nn.Module, values: Tensor, samples: int) -> None:
    """Raise UserError unless a loss without a reduction gives values for each sample."""
    if values.ndim == 0 or values.numel() % samples:
        raise of_no_sample(loss, f"without a reduction it has the shape {tuple(values.shape)} for {samples} samples")


def check_mean(loss: nn.Module, mean: Tensor | None, output: Tensor, target: Tensor) -> None:
    """Raise UserError unless the mean of the samples' losses is the loss of the batch; it reads from the device."""
    assert mean is not None
    with torch.no_grad():
        expected = loss(output, target).to(mean)
    if expected.isfinite() and not torch.allclose(mean, expected, rtol=0.01, atol=1e-4):
        raise of_no_sample(loss, f"the mean of its values is {mean:.4g}, its loss of the batch {expected:.4g}")
