"""The accuracy of always giving the same answer, with which every accuracy is compared."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Baseline(NamedTuple):
    """The accuracy that the most common answer would have.

    Args:
        accuracy: In [0, 1].
        answer: In words.
        samples: How many there are.
    """

    accuracy: float
    answer: str
    samples: int

    def __str__(self) -> str:
        return f"{self.answer} would give {self.accuracy:.4f}"


def accuracy_of_one_answer(targets: Tensor, class_names: Sequence[str]) -> Baseline | None:
    """Return the accuracy of always giving the most common answer; None for numbers, which have no accuracy.

    Args:
        targets: Classes ``(N,)``, labels 0 or 1 ``(N, K)``, or masks ``(N, H, W)``, of which classes beyond the names
            are not counted.
        class_names: Names of the classes.

    Example:
        >>> str(accuracy_of_one_answer(torch.tensor([0, 1, 1, 1]), ["cat", "dog"]))
        'the most common class (dog) would give 0.7500'
    """
    if not len(targets) or (targets.is_floating_point() and targets.ndim != 2):
        return None
    if targets.ndim == 2:
        present = (targets > 0.5).double().mean(0)
        return Baseline(torch.maximum(present, 1 - present).mean().item(), "the most common labels", len(targets))
    counts = torch.bincount(targets.flatten().long(), minlength=len(class_names))[: len(class_names)]
    top = int(counts.argmax())
    share = float(counts[top] / counts.sum().clamp_min(1))
    return Baseline(share, f"the most common class ({class_names[top]})", len(targets))
