"""Precision, recall and F1 of each class, and the confidence interval of an accuracy."""

import math
from typing import NamedTuple

import torch
from scipy.stats import binomtest
from torch import Tensor

Z95 = 1.959964
"""The normal distribution's quantile of a 95 % interval."""


def share(part: int, whole: int) -> float:
    """Return part / whole, NaN of nothing."""
    return part / whole if whole else math.nan


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, which stays in [0, 1] and holds near 0 and 1 and for few samples.

    Args:
        correct: 0 to count.
        count: ≥ 1.

    Example:
        >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
        [0.4902, 0.9433]

    Reference:
        E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    interval = binomtest(correct, count).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


class ClassScore(NamedTuple):
    """Scores of one class; a score is NaN if its denominator is 0.

    Args:
        name: Name of the class.
        samples: Number of samples of this class.
        predicted: Number of samples predicted as this class.
        correct: Number of samples of this class predicted as this class.
        precision: correct / predicted.
        recall: correct / samples.
        f1: 2 correct / (predicted + samples), the harmonic mean of precision and recall.
    """

    name: str
    samples: int
    predicted: int
    correct: int
    precision: float
    recall: float
    f1: float


def class_scores(classes: Tensor, targets: Tensor, names: list[str]) -> list[ClassScore]:
    """Compute precision, recall and F1 of each class.

    Args:
        classes: Predicted classes, in [0, K).
        targets: True classes, in [0, K).
        names: Names of the K classes.

    Shape:
        classes `(N,)` int64, targets `(N,)` int64.
    """
    predicted, samples, correct = (
        torch.bincount(of, minlength=len(names)) for of in (classes, targets, classes[classes == targets])
    )
    hits = correct.double()  # 0 / 0 is NaN
    scores = hits / predicted, hits / samples, 2 * hits / (predicted + samples)
    columns = [column.tolist() for column in (samples, predicted, correct, *scores)]
    return [ClassScore(*row) for row in zip(names, *columns, strict=True)]
