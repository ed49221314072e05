"""Metrics of torchmetrics that are NaN where they are not defined; torchmetrics returns 0 there, or raises an error."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, R2Score
from torchmetrics.classification import BinaryF1Score, MulticlassAccuracy, MultilabelF1Score

from lightning_modules.tasks.metrics import MeanDice, MeanIoU, PixelAccuracy, ThresholdAUROC

NEARLY_CONSTANT = 1e-12  # variance of the targets as a share of their mean square


class Defined(Metric):
    """Mixin of a metric: NaN, with a reason, where it is not defined.

    `undefined` is asked inside `compute`, where torchmetrics has added up the states of all processes.
    """

    reason: str | None = None
    """Why the last value that was computed is NaN; `None` if it is defined."""

    def undefined(self) -> str | None:
        """Return why the metric is not defined for what was measured, or `None` if it is."""
        raise NotImplementedError

    def compute(self) -> Any:
        """Return the metric, shape `()`, or NaN."""
        self.reason = self.undefined()
        if self.reason is not None:
            return torch.tensor(torch.nan, device=self.device)
        return super().compute()  # type: ignore[safe-super]


class AUROC(Defined, ThresholdAUROC):
    """Area under the ROC curve at fixed thresholds; NaN if all targets are of one class."""

    confmat: Tensor

    def undefined(self) -> str | None:
        """Require positive and negative targets."""
        negatives, positives = self.confmat[0].sum(dim=1).tolist()
        if positives and negatives:
            return None
        return "there are no positive targets" if negatives else "there are no negative targets"


class F1(Defined, BinaryF1Score):
    """F1 of the positive class; NaN without a positive target, for which recall is not defined."""

    tp: Any
    fn: Any

    def undefined(self) -> str | None:
        """Require positive targets, without which there is no recall."""
        return None if int(self.tp + self.fn) else "there are no positive targets"


class LabelF1(Defined, MultilabelF1Score):
    """F1 as the mean over labels; NaN if no label has a positive target."""

    tp: Any
    fn: Any

    def undefined(self) -> str | None:
        """Require positive targets, without which there is no recall."""
        return None if int((self.tp + self.fn).sum()) else "no label has a positive target"


class ClassAccuracy(Defined, MulticlassAccuracy):
    """Accuracy over all samples; NaN without a sample."""

    tp: Any
    fn: Any

    def undefined(self) -> str | None:
        """Require a sample."""
        return None if int((self.tp + self.fn).sum()) else "there are no targets"


class _Labelled(Defined):
    higher_is_better = True
    confmat: Tensor

    def undefined(self) -> str | None:
        """Require a labelled target."""
        return None if int(self.confmat.sum()) else "no target is labelled"


class LabelledAccuracy(_Labelled, PixelAccuracy):  # type: ignore[misc]  # torchmetrics has None
    """Accuracy over the labelled pixels; NaN if none is labelled."""


class Dice(_Labelled, MeanDice):  # type: ignore[misc]
    """Dice as the mean over classes; NaN if no pixel is labelled."""


class IoU(_Labelled, MeanIoU):  # type: ignore[misc]
    """Intersection over union as the mean over classes; NaN if no pixel is labelled."""


class R2(Defined, R2Score):
    """R², the share of the variance that is explained; NaN for fewer than two samples, or equal targets."""

    total: Any
    sum_error: Tensor
    sum_squared_error: Tensor

    def undefined(self) -> str | None:
        """Require targets with a variance."""
        if int(self.total) < 2:
            return f"the variance of {int(self.total)} targets is not defined"
        square = float(self.sum_squared_error / self.total)
        variance = square - float(self.sum_error / self.total) ** 2
        return None if variance > NEARLY_CONSTANT * max(square, 1e-30) else "all targets are equal"
