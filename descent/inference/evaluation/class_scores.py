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


def class_scores(confusion: Tensor, names: list[str]) -> list[ClassScore]:
    """Compute precision, recall and F1 of each class.

    Args:
        confusion: How often class i (row) was predicted as class j (column), int64 `(K, K)`.
        names: Names of the classes.
    """
    samples, predicted, correct = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    hits = correct.double()  # 0 / 0 is NaN
    scores = hits / predicted, hits / samples, 2 * hits / (predicted + samples)
    columns = [column.tolist() for column in (samples, predicted, correct, *scores)]
    return [ClassScore(*row) for row in zip(names, *columns, strict=True)]
