"""How good a classifier is: the interval of its accuracy, precision and recall of each class."""

from typing import NamedTuple

from scipy.stats import binomtest
from torch import Tensor


def wilson(right: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share: right also near 0 and 1 and for few samples, where ± leaves the scale.

    Args:
        right: 0 to count.
        count: ≥ 1.

    Example:
        >>> [round(bound, 4) for bound in wilson(8, 10)]
        [0.4902, 0.9433]

    Reference:
        E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    found = binomtest(right, count).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


class ClassScore(NamedTuple):
    """How good a classifier is on one class; what is not defined is `None`.

    Args:
        name: Of the class.
        samples: How many there are of it.
        said: How often it was the answer.
        right: How often rightly.
        precision: right / said.
        recall: right / samples.
        f1: 2 right / (said + samples), the harmonic mean of the two.
    """

    name: str
    samples: int
    said: int
    right: int
    precision: float | None
    recall: float | None
    f1: float | None


def class_scores(confusion: Tensor, names: list[str]) -> list[ClassScore]:
    """Precision, recall and F1 of each class.

    Args:
        confusion: How often class i (row) was taken for class j (column), `(K, K)`.
        names: By class.
    """
    samples, said, right = confusion.sum(1).tolist(), confusion.sum(0).tolist(), confusion.diagonal().tolist()
    return [
        ClassScore(name, n, s, r, _share(r, s), _share(r, n), _share(2 * r, n + s))
        for name, n, s, r in zip(names, samples, said, right, strict=True)
    ]


def mean(values: list[float | None]) -> float | None:
    """Of those that are defined."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
