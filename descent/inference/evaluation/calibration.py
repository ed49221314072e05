"""Calibration of predicted probabilities: expected calibration error and temperature scaling."""

import math
from typing import NamedTuple

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

BINS = 15
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0


class CalibrationBins(NamedTuple):
    """Predictions in M bins of equal width by their confidence, the probability of the predicted class.

    Args:
        counts: Number of predictions in each bin `(M,)`.
        confidence: Mean confidence in each bin `(M,)`; NaN for an empty bin.
        accuracy: Share of correct predictions in each bin `(M,)`; NaN for an empty bin.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    @property
    def ece(self) -> float:
        r"""Expected calibration error :math:`\sum_m \frac{n_m}{n} |accuracy_m - confidence_m|`, 0 to 1."""
        weights = self.counts / self.counts.sum()
        return float((weights * (self.accuracy - self.confidence).abs()).nansum())


def calibration_bins(confidence: Tensor, correct: Tensor, bins: int = BINS) -> CalibrationBins:
    """Sort predictions into the bins ``(m / M, (m + 1) / M]``.

    Args:
        confidence: Probability of the predicted class, in [0, 1].
        correct: Whether the prediction is correct.
        bins: M, ≥ 1.

    Shape:
        confidence `(N,)`, correct `(N,)` bool.

    Example:
        >>> correct = torch.tensor([True, True, True, False])
        >>> round(calibration_bins(torch.full((4,), 0.9), correct, bins=10).ece, 6)
        0.15

    Reference:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning",
        2015; the bins of C. Guo et al., "On Calibration of Modern Neural Networks", 2017.
    """
    values = confidence.double()
    bin_of = ((values * bins).ceil().long() - 1).clamp(0, bins - 1)
    counts = torch.bincount(bin_of, minlength=bins)
    sums = (torch.bincount(bin_of, weights=weights.double(), minlength=bins) for weights in (values, correct))
    return CalibrationBins(counts, *(total / counts for total in sums))


def apply_temperature(log_probabilities: Tensor, temperature: float) -> Tensor:
    """Divide the logits by a temperature: above 1 lowers the confidence, below 1 raises it; the order stays.

    Shape:
        log_probabilities `(N, K)` → `(N, K)`.
    """
    return (log_probabilities / temperature).log_softmax(dim=1)


def mean_nll(log_probabilities: Tensor, targets: Tensor) -> float:
    """Return the mean negative log-likelihood of the true classes."""
    return float(-log_probabilities.gather(1, targets.unsqueeze(1)).mean())


class Temperature(NamedTuple):
    """A fitted temperature.

    Args:
        value: In [0.05, 20].
        samples: Number of samples it was fitted on.
    """

    value: float
    samples: int

    @property
    def at_search_limit(self) -> bool:
        """Whether the fit ended at a limit of the search range, as it does if all predictions are correct."""
        return not MIN_TEMPERATURE * 1.01 < self.value < MAX_TEMPERATURE / 1.01


def fit_temperature(log_probabilities: Tensor, targets: Tensor) -> Temperature:
    """Find the temperature with the smallest negative log-likelihood; fit it on other samples than you evaluate on.

    Shape:
        log_probabilities `(N, K)` float64, targets `(N,)`.

    Reference:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks", 2017.
    """
    found = minimize_scalar(  # the likelihood has one minimum over the logarithm of the temperature
        lambda exponent: mean_nll(apply_temperature(log_probabilities, math.exp(exponent)), targets),
        bounds=(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return Temperature(math.exp(float(found.x)), len(targets))
