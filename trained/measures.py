"""How good a classifier is: accuracy with its interval, the confusion matrix, precision and recall of each class."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

Z95 = 1.959963984540054
"""The normal distribution's 0.975 quantile."""


def wilson(right: int, count: int, z: float = Z95) -> tuple[float, float]:
    r"""Wilson's interval of a share: right also near 0 and 1 and for few samples, where ± leaves the scale.

    .. math:: \frac{p + \frac{z^2}{2n} \pm z \sqrt{\frac{p(1-p)}{n} + \frac{z^2}{4n^2}}}{1 + \frac{z^2}{n}}

    Args:
        right: 0 to count.
        count: n, ≥ 1.
        z: The normal distribution's quantile; 1.96 for 95 %.

    Example:
        >>> [round(bound, 4) for bound in wilson(8, 10)]
        [0.4902, 0.9433]

    Reference:
        E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    p, half = right / count, z * z / (2 * count)
    width = z * math.sqrt(p * (1 - p) / count + half / (2 * count))
    low, high = (p + half - width) / (1 + 2 * half), (p + half + width) / (1 + 2 * half)
    return max(0.0, low), min(1.0, high)


def confusion_matrix(targets: Tensor, choices: Tensor, classes: int) -> Tensor:
    """How often class i (row) was taken for class j (column).

    Shape:
        targets `(N,)`, choices `(N,)` → int64 `(K, K)`.

    Example:
        >>> confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2)
        tensor([[1, 1],
                [0, 1]])
    """
    return torch.bincount(targets * classes + choices, minlength=classes * classes).view(classes, classes)


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
        confusion: See `confusion_matrix`.
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
