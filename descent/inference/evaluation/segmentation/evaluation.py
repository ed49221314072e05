"""All numbers of a segmentation's evaluation: IoU and Dice of each class, pixel accuracy, confusions."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from descent.inference.evaluation.bootstrap import Array, bootstrap_intervals
from descent.inference.evaluation.class_scores import share
from descent.inference.evaluation.outputs import Samples
from foundation.errors import UserError

Interval = tuple[float, float]


class PixelScore(NamedTuple):
    """Scores of one class over all labelled pixels of all images; a score is NaN if its denominator is 0.

    Args:
        name: Name of the class.
        pixels: Number of pixels of this class.
        predicted: Number of pixels predicted as this class.
        correct: Number of pixels of this class predicted as this class.
        iou: correct / (pixels + predicted − correct), intersection over union.
        iou_interval: Its 95 % interval.
        dice: 2 correct / (pixels + predicted).
        dice_interval: Its 95 % interval.
        precision: correct / predicted.
        recall: correct / pixels.
    """

    name: str
    pixels: int
    predicted: int
    correct: int
    iou: float
    iou_interval: Interval
    dice: float
    dice_interval: Interval
    precision: float
    recall: float


@dataclass
class SegmentationEvaluation:
    """The evaluation of a segmentation with K classes; pixels of the ignored class are in no number.

    The intervals come from a bootstrap over the images: pixels of one image are not independent.

    Args:
        predicted: Predicted masks `(N, H, W)`, uint8 or int16.
        targets: True masks `(N, H, W)`.
        class_names: Names of the classes.
        ignored: Class number of unlabelled pixels.
        samples: Names and images of the N samples.
        positive: Name of the positive class of a binary segmentation.

    Raises:
        UserError: A mask has a class that there is not, or no pixel is labelled.
    """

    predicted: Tensor
    targets: Tensor
    class_names: list[str]
    ignored: int
    samples: Samples
    positive: str | None = None

    def __post_init__(self) -> None:
        size = len(self.class_names)
        self.correct, self.guessed, self.true, self.confusion = self._count(size)
        if not self.confusion.sum():
            raise UserError("no pixel of the masks is labelled: there is nothing to evaluate on.")
        sums = np.hstack([self.correct, self.guessed, self.true]).astype(np.float64)
        totals = _scores(sums.mean(axis=0, keepdims=True))[0].tolist()
        scores = list(zip(totals, bootstrap_intervals(sums, _scores), strict=True))
        iou, dice = scores[:size], scores[size : 2 * size]
        self.accuracy, self.mean_iou, self.mean_dice = scores[2 * size :]
        correct, guessed, true = (part.sum(axis=0).tolist() for part in (self.correct, self.guessed, self.true))
        self.class_scores = [
            PixelScore(
                name, true[k], guessed[k], correct[k], *iou[k], *dice[k],
                share(correct[k], guessed[k]), share(correct[k], true[k]),
            )
            for k, name in enumerate(self.class_names)
        ]  # fmt: skip
        self.labelled = int(self.confusion.sum())
        most_common = max(self.class_scores, key=lambda score: score.pixels)
        self.baseline_class, self.baseline = most_common.name, most_common.pixels / self.labelled
        self.baseline_iou = self.baseline / sum(score.pixels > 0 for score in self.class_scores)
        self.ignored_share = 1 - self.labelled / self.targets.numel()

    def _count(self, size: int) -> tuple[NDArray[np.int64], ...]:
        """Return correct, predicted and true pixels of each image and class `(N, K)`, and the confusions `(K, K)`."""
        counts = np.zeros((3, len(self.targets), size), dtype=np.int64)
        confusion = np.zeros((size, size), dtype=np.int64)
        for row, (predicted, target) in enumerate(zip(self.predicted, self.targets, strict=True)):
            labelled = target != self.ignored
            true = target[labelled].long()
            if len(true) and not 0 <= int(true.min()) <= int(true.max()) < size:
                found = int(true.max()) if int(true.max()) >= size else int(true.min())
                raise UserError(
                    f"the mask of {self.samples.names[row]} has a pixel of class {found}; expected 0 to {size - 1}, "
                    f"or {self.ignored} for pixels without a label (model.ignore_index)."
                )
            pairs = torch.bincount(true * size + predicted[labelled].long(), minlength=size**2).view(size, size).numpy()
            confusion += pairs
            counts[:, row] = pairs.diagonal(), pairs.sum(axis=0), pairs.sum(axis=1)
        return *counts, confusion

    def image_ious(self) -> Array:
        """Return for each image the mean IoU of the classes in it (true or predicted), NaN without labelled pixels."""
        with np.errstate(invalid="ignore"):
            ious = self.correct / (self.guessed + self.true - self.correct)
        counted = np.isfinite(ious).sum(axis=1)
        with np.errstate(invalid="ignore"):
            found: Array = np.nansum(ious, axis=1) / counted
        return found

    def image_accuracies(self) -> Array:
        """Return the share of right pixels of each image, NaN without labelled pixels."""
        with np.errstate(invalid="ignore"):
            found: Array = self.correct.sum(axis=1) / self.true.sum(axis=1)
        return found

    def ordered(self) -> list[int]:
        """Return the images with labelled pixels, the lowest mean IoU first."""
        ious = self.image_ious()
        order = np.argsort(ious, kind="stable")
        rows: list[int] = order[np.isfinite(ious[order])].tolist()
        return rows

    def confusions(self) -> list[tuple[str, str, int, float]]:
        """Return true and predicted class, pixels and their share of the true class, the most frequent first."""
        true, predicted = np.nonzero(self.confusion * (1 - np.eye(len(self.class_names), dtype=np.int64)))
        counts = self.confusion[true, predicted]
        totals = self.confusion.sum(axis=1)[true]
        order = np.argsort(-counts, kind="stable")
        names = self.class_names
        return [(names[true[i]], names[predicted[i]], int(counts[i]), float(counts[i] / totals[i])) for i in order]

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json."""
        named = {"mean_iou": self.mean_iou, "mean_dice": self.mean_dice, "pixel_accuracy": self.accuracy}
        numbers: dict[str, Any] = {"task": "segmentation", "samples": len(self.targets), "pixels": self.labelled}
        for name, (value, interval) in named.items():
            numbers |= {name: value, f"{name}_interval_95": list(interval)}
        return numbers | {
            "ignored_share": self.ignored_share,
            "baseline_class": self.baseline_class,
            "baseline_pixel_accuracy": self.baseline,
            "baseline_mean_iou": self.baseline_iou,
            "positive_class": self.positive,
            "classes": [score._asdict() for score in self.class_scores],
            "confusions": [list(row) for row in self.confusions()],
        }


def _scores(means: Array) -> Array:
    """Return IoU and Dice of each class, pixel accuracy, mean IoU and mean Dice `(R, 2K + 3)` from means `(R, 3K)`."""
    correct, guessed, true = np.split(means, 3, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou, dice = correct / (guessed + true - correct), 2 * correct / (guessed + true)
        accuracy = correct.sum(axis=1) / true.sum(axis=1)
        occurs = np.isfinite(iou).sum(axis=1)
        means_over_classes = [np.nansum(score, axis=1) / occurs for score in (iou, dice)]
    return np.column_stack([iou, dice, accuracy, *means_over_classes])
