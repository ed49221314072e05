"""Whether a probability of 80 % is right in 80 % of the cases, and a temperature that makes it so."""

import math
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

BINS = 15
LOWEST, HIGHEST = 0.05, 20.0


class Reliability(NamedTuple):
    """Answers in bins of equal width by their probability.

    Args:
        answers: How many are in each bin `(M,)`.
        confidence: Mean probability of the answers in it `(M,)`; NaN where there is none.
        accuracy: Share of them that is right `(M,)`; likewise.
    """

    answers: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def error(self) -> float:
        r"""Expected calibration error :math:`\sum_m \frac{n_m}{n} |accuracy_m - confidence_m|`, 0 to 1."""
        share = self.answers / self.answers.sum()
        return float((share * (self.accuracy - self.confidence).abs()).nansum())


def reliability(probability: Tensor, right: Tensor, bins: int = BINS) -> Reliability:
    """Sort answers into bins ``(m / M, (m + 1) / M]``.

    Args:
        probability: Of the answer, in [0, 1].
        right: Whether it is right.
        bins: M, ≥ 1.

    Shape:
        probability `(N,)`, right `(N,)` bool.

    Example:
        >>> found = reliability(torch.tensor([0.9, 0.9, 0.9, 0.9]), torch.tensor([True, True, True, False]), bins=10)
        >>> round(found.error, 6)
        0.15

    Reference:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
        2015; the bins of C. Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    values = probability.double()
    place = ((values * bins).ceil().long() - 1).clamp(0, bins - 1)
    count = torch.bincount(place, minlength=bins)
    confidence = torch.bincount(place, weights=values, minlength=bins) / count
    accuracy = torch.bincount(place, weights=right.double(), minlength=bins) / count
    return Reliability(count, confidence, accuracy)


def scaled(log_probabilities: Tensor, temperature: float) -> Tensor:
    """Log-probabilities at another temperature: above 1 less sure, below 1 surer; the order of the classes stays.

    Shape:
        log_probabilities `(N, K)` → `(N, K)`.
    """
    return (log_probabilities / temperature).log_softmax(dim=1)


def mean_nll(log_probabilities: Tensor, targets: Tensor) -> float:
    """Mean negative log-likelihood of the true classes."""
    return float(-log_probabilities.gather(1, targets.unsqueeze(1)).mean())


class Temperature(NamedTuple):
    """A temperature that was fitted.

    Args:
        value: In [0.05, 20].
        samples: How many it was fitted on.
    """

    value: float
    samples: int

    @property
    def at_the_edge(self) -> bool:
        """Whether it would go further: nothing or everything is right."""
        return not LOWEST * 1.01 < self.value < HIGHEST / 1.01


def fit_temperature(log_probabilities: Tensor, targets: Tensor) -> Temperature:
    """The temperature with the smallest negative log-likelihood, to be fitted on samples that are not measured on.

    Shape:
        log_probabilities `(N, K)` float64, targets `(N,)`.

    Reference:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", 2017.
    """
    found = minimize_scalar(  # in the logarithm of the temperature there is one valley
        lambda exponent: mean_nll(scaled(log_probabilities, math.exp(exponent)), targets),
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return Temperature(math.exp(float(found.x)), len(targets))
