"""Metrics of torchmetrics whose updates never wait for the device, and count on it deterministically.

torchmetrics selects labelled pixels with a mask and counts with `torch.bincount`; both give tensors whose size the host
must know first, so that a GPU is stopped several times per validation batch.
"""

import torch
from torch import Tensor
from torchmetrics.classification import (
    BinaryAUROC,
    MulticlassConfusionMatrix,
    MulticlassJaccardIndex,
    MultilabelExactMatch,
)


def counts(numbers: Tensor, bins: int) -> Tensor:
    """Return how often each of 0 … `bins` − 1 occurs, int64 `(bins,)`; as fast as `torch.bincount`.

    Example:
        >>> counts(torch.tensor([0, 2, 2]), bins=4).tolist()
        [1, 0, 2, 0]
    """
    empty = torch.zeros(bins, dtype=torch.int64, device=numbers.device)
    return empty.scatter_add_(0, numbers, torch.ones_like(numbers))  # of integers: any order gives the same sum


def confusion_counts(predicted: Tensor, target: Tensor, classes: int, ignore_index: int | None) -> Tensor:
    """Return a confusion matrix, int64 `(K, K)`, true classes in rows; targets of `ignore_index` are left out.

    Example:
        >>> confusion_counts(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 255]), 2, ignore_index=255).tolist()
        [[1, 0], [0, 1]]
    """
    pairs = (target.long() * classes + predicted.long()).flatten()
    if ignore_index is not None:
        pairs = pairs.where((target != ignore_index).flatten(), classes**2)  # a bin of its own, which is dropped
    return counts(pairs, classes**2 + 1)[:-1].view(classes, classes)


class PixelAccuracy(MulticlassConfusionMatrix):
    """Share of the labelled pixels whose class is right; takes classes `(B, …)` twice."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch."""
        self.confmat += confusion_counts(preds, target, self.num_classes, self.ignore_index)

    def compute(self) -> Tensor:
        """Return the accuracy; 0 without any labelled pixel."""
        return _ratio(self.confmat.diag().sum(), self.confmat.sum())


class MeanIoU(MulticlassJaccardIndex):
    """Mean over the classes that occur of intersection over union; takes classes `(B, …)` twice."""

    update = PixelAccuracy.update


class MeanDice(PixelAccuracy):
    """Mean over the classes that occur of Dice's coefficient, which is their F1; takes classes `(B, …)` twice."""

    def compute(self) -> Tensor:
        """Return the mean; 0 without any labelled pixel."""
        right, predicted, true = self.confmat.diag(), self.confmat.sum(0), self.confmat.sum(1)
        occurs = (predicted + true > 0).float()
        return _ratio((occurs * _ratio(2 * right, predicted + true)).sum(), occurs.sum())


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole != 0, part.float() / whole.float(), 0.0)


class ThresholdAUROC(BinaryAUROC):
    """Area under the ROC curve at fixed thresholds; takes probabilities `(B,)` and targets 0 or 1 `(B,)`."""

    thresholds: Tensor  # type: ignore[assignment]  # torchmetrics declares it for the case without

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch: how many probabilities of each class reach each threshold."""
        bins = len(self.thresholds) + 1
        reached = torch.bucketize(preds.flatten().nan_to_num(nan=-1.0), self.thresholds, right=True)
        by_class = counts(reached + bins * target.flatten().long(), 2 * bins).view(2, bins)
        at_least = by_class.flip(1).cumsum(1).flip(1)
        positive = at_least[:, 1:]  # (class, threshold)
        self.confmat += torch.stack([at_least[:, :1] - positive, positive], dim=-1).transpose(0, 1)


class ExactMatch(MultilabelExactMatch):
    """Share of samples without a wrong label; takes probabilities `(B, K)` and targets 0 or 1 `(B, K)`."""

    correct: Tensor
    total: Tensor

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch."""
        self.correct += ((preds > self.threshold) == target.bool()).all(dim=1).sum()
        self.total += len(preds)
