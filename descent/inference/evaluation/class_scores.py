"""Precision, recall and F1 of each class, and the confidence interval of an accuracy."""

from typing import NamedTuple

from scipy.stats import binomtest
from torch import Tensor


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
    """Scores of one class; a score that is not defined is `None`.

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
    precision: float | None
    recall: float | None
    f1: float | None


def class_scores(confusion: Tensor, names: list[str]) -> list[ClassScore]:
    """Compute precision, recall and F1 of each class.

    Args:
        confusion: How often class i (row) was predicted as class j (column), `(K, K)`.
        names: Names of the classes.
    """
    # for each class: n samples, m predictions, k of them correct
    counts = confusion.sum(1).tolist(), confusion.sum(0).tolist(), confusion.diagonal().tolist()
    return [
        ClassScore(name, n, m, k, _ratio(k, m), _ratio(k, n), _ratio(2 * k, n + m))
        for name, n, m, k in zip(names, *counts, strict=True)
    ]


def mean_of_defined(values: list[float | None]) -> float | None:
    """Return the mean of the defined values; `None` if there are none."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
