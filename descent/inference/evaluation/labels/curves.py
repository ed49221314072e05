"""How well scores separate positive from negative samples: ROC and precision-recall curve, at every threshold."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from descent.inference.evaluation.bootstrap import Array
from descent.inference.evaluation.class_scores import Z95, share

Interval = tuple[float, float]
UNDEFINED = (math.nan, math.nan)


class Counts(NamedTuple):
    """What a threshold gives; a score is NaN if its denominator is 0.

    Args:
        threshold: A probability of at least this is predicted positive.
        true_positive: Positive samples predicted positive.
        false_positive: Negative samples predicted positive.
        false_negative: Positive samples predicted negative.
        true_negative: Negative samples predicted negative.
    """

    threshold: float
    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def precision(self) -> float:
        """Share of the positive predictions that are right."""
        return share(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        """Share of the positive samples that are found."""
        return share(self.true_positive, self.true_positive + self.false_negative)

    @property
    def false_positive_rate(self) -> float:
        """Share of the negative samples that are predicted positive."""
        return share(self.false_positive, self.false_positive + self.true_negative)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN without positive samples."""
        if not self.true_positive + self.false_negative:
            return math.nan
        return share(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)

    @property
    def accuracy(self) -> float:
        """Share of all samples that are right."""
        return share(self.true_positive + self.true_negative, sum(self[1:]))


@dataclass
class Curves:
    """ROC and precision-recall curve of N samples, from one sorting; scikit-learn refuses infinite scores.

    Args:
        scores: The higher, the more likely positive `(N,)`, e.g. log-odds, which do not saturate as probabilities do.
        probabilities: Probability of positive `(N,)`.
        positive: Which samples are positive `(N,)`.
    """

    scores: Array
    probabilities: Array
    positive: NDArray[np.bool_]

    def __post_init__(self) -> None:
        self.count, self.positives = len(self.positive), int(self.positive.sum())
        self.negatives = self.count - self.positives
        self.prevalence = share(self.positives, self.count)
        order = np.argsort(-self.scores, kind="stable")
        ordered = self.scores[order]
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], [True] * (self.count > 0)))
        found = np.cumsum(self.positive[order])[ends]  # equal scores are on one side of a threshold together
        self.true_positives, self.false_positives = found, ends + 1 - found
        self.auc, self.auc_interval = self._auc()
        self.average_precision = self._average_precision()
        self.average_precision_interval = logit_interval(self.average_precision, self.positives)

    def roc(self) -> tuple[Array, Array]:
        """Return false-positive rate and recall at each threshold, from (0, 0) to (1, 1)."""
        rates = self.false_positives / max(1, self.negatives), self.true_positives / max(1, self.positives)
        across, up = (np.concatenate([[0.0], rate]) for rate in rates)
        return across, up

    def precision_recall(self) -> tuple[Array, Array]:
        """Return recall and precision at each threshold, the highest first."""
        return self.true_positives / max(1, self.positives), self.true_positives / (
            self.true_positives + self.false_positives
        )

    def at(self, threshold: float) -> Counts:
        """Count what a threshold gives."""
        predicted = self.probabilities >= threshold
        right, all_positive = int((predicted & self.positive).sum()), int(predicted.sum())
        wrong = all_positive - right
        return Counts(threshold, right, wrong, self.positives - right, self.negatives - wrong)

    def _auc(self) -> tuple[float, Interval]:
        r"""Return the area under the ROC curve with DeLong's variance, its interval on the logit scale.

        The area is the probability that a positive sample has a higher score than a negative one, ties counting half.

        Reference:
            E. DeLong, D. DeLong, D. Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver
            Operating Characteristic Curves", 1988; by ranks as in X. Sun, W. Xu, "Fast Implementation of DeLong's
            Algorithm", 2014.
        """
        m, n = self.positives, self.negatives
        if not m or not n:
            return math.nan, UNDEFINED
        ranks = rankdata(self.scores)
        of_positive = (ranks[self.positive] - rankdata(self.scores[self.positive])) / n
        of_negative = 1 - (ranks[~self.positive] - rankdata(self.scores[~self.positive])) / m
        area = float(of_positive.mean())
        if min(m, n) < 2 or not 0 < area < 1:
            return area, UNDEFINED
        deviation = math.sqrt(of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n)
        return area, _logit_bounds(area, deviation / (area * (1 - area)))

    def _average_precision(self) -> float:
        r"""Return :math:`\sum_n (R_n - R_{n-1}) P_n`, NaN without positive samples."""
        if not self.positives:
            return math.nan
        recall, precision = self.precision_recall()
        return float((np.diff(recall, prepend=0.0) * precision).sum())


def logit_interval(average_precision: float, positives: int) -> Interval:
    r"""Return the 95 % interval of an average precision :math:`\theta` of n positive samples, NaN at 0 and 1.

    It is :math:`\theta \pm 1.96\, (n\, \theta (1 - \theta))^{-1/2}` on the logit scale.

    Reference:
        K. Boyd, K. Eng, C. D. Page, "Area under the Precision-Recall Curve: Point Estimates and Confidence Intervals",
        2013.
    """
    if not 0 < average_precision < 1:
        return UNDEFINED
    return _logit_bounds(average_precision, (positives * average_precision * (1 - average_precision)) ** -0.5)


def _logit_bounds(middle: float, deviation: float) -> Interval:
    odds = math.log(middle / (1 - middle))
    low, high = (1 / (1 + math.exp(-(odds + side * Z95 * deviation))) for side in (-1, 1))
    return low, high
