"""What test-time augmentation gains: accuracy with and without the mirror images, on the same samples."""

import math
from typing import Any, NamedTuple

from scipy.stats import binomtest
from torch import Tensor

from descent.inference.evaluation.class_scores import Z95


class MirrorGain(NamedTuple):
    """Accuracy with and without test-time augmentation.

    Args:
        samples: Number of samples.
        right_without: How many are right without it.
        gained: How many only it makes right.
        lost: How many only it makes wrong.
    """

    samples: int
    right_without: int
    gained: int
    lost: int

    @property
    def accuracy_without(self) -> float:
        """Accuracy without it."""
        return self.right_without / self.samples

    @property
    def difference(self) -> float:
        """Accuracy with it minus accuracy without it."""
        return (self.gained - self.lost) / self.samples

    @property
    def interval(self) -> tuple[float, float]:
        r"""95% interval of the difference of the paired proportions.

        $$\hat d \pm z \frac{\sqrt{b + c - (b - c)^2 / n}}{n}, \qquad \hat d = \frac{b - c}{n}$$

        with ½ added to each of the four counts: b gained, c lost, and right or wrong both times.

        Reference:
            A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched proportions", 2005.
        """
        total, gained, lost = self.samples + 2, self.gained + 0.5, self.lost + 0.5
        middle = (gained - lost) / total
        width = Z95 * math.sqrt(gained + lost - (gained - lost) ** 2 / total) / total
        return max(-1.0, middle - width), min(1.0, middle + width)

    @property
    def p_value(self) -> float:
        """McNemar's exact test: how probable so unequal counts are if both are equally good."""
        changed = self.gained + self.lost
        return float(binomtest(self.gained, changed).pvalue) if changed else 1.0

    def summary(self) -> dict[str, Any]:
        """Return the numbers for evaluation.json."""
        return {
            "accuracy_without": self.accuracy_without,
            "difference": self.difference,
            "difference_interval_95": list(self.interval),
            "only_right_with": self.gained,
            "only_right_without": self.lost,
            "mcnemar_p": self.p_value,
        }

    def sentence(self) -> str:
        """State the gain in one sentence."""
        low, high = (100 * bound for bound in self.interval)
        verdict = "" if low > 0 or high < 0 else " These samples show no clear difference."
        return (
            f"The probabilities are the mean over each image and its mirror image: {100 * self.difference:+.2f} "
            f"points of accuracy (95% interval {low:+.2f} to {high:+.2f}); without it {self.accuracy_without:.2%}. It "
            f"made {self.gained:,} wrong answers right and {self.lost:,} right ones wrong (McNemar's p = "
            f"{self.p_value:.2g}).{verdict}"
        )


def mirror_gain(classes: Tensor, classes_without: Tensor, targets: Tensor) -> MirrorGain:
    """Compare predicted classes with and without test-time augmentation.

    Shape:
        classes, classes_without, targets `(N,)`, with N ≥ 1.

    Example:
        >>> import torch
        >>> found = mirror_gain(torch.tensor([0, 1, 1]), torch.tensor([1, 1, 1]), torch.tensor([0, 1, 0]))
        >>> found.gained, found.lost, round(found.difference, 3), found.p_value
        (1, 0, 0.333, 1.0)
    """
    with_it, without = classes == targets, classes_without == targets
    return MirrorGain(
        len(targets), int(without.sum()), int((with_it & ~without).sum()), int((~with_it & without).sum())
    )
