"""Power of the paired t-test: the smallest difference that a number of seeds can detect."""

import numpy as np
from scipy import optimize, stats

from descent.studies.statistics.group_sequential import LEAST, looks, nominal_levels

POWER = 0.8
ALPHA = 0.05
ASSURANCE = 0.8


def detectable_difference(sd: float, seeds: int, comparisons: int, alpha: float = ALPHA, power: float = POWER) -> float:
    r"""Compute the smallest difference that S paired seeds detect with the given power, after correction.

    $$d = \delta\; \text{sd} / \sqrt S, \qquad P(T_{S-1,\,\delta} > t_{1-\alpha/2m,\,S-1}) = \text{power}$$

    where $T_{S-1,\delta}$ has the non-central t distribution. α is divided by all m comparisons, as in the first and
    strictest step of Holm's correction, so the result errs on the large side.

    Args:
        sd: Standard deviation of the paired differences, > 0.
        seeds: S ≥ 2.
        comparisons: m ≥ 1.
        alpha: Allowed share of studies that report a difference where there is none.
        power: Probability of detecting the difference, in (0.5, 1).

    Raises:
        ValueError: There are fewer than two seeds.

    Example:
        >>> print(f"{detectable_difference(sd=1.0, seeds=8, comparisons=1):.2f}")
        1.16
        >>> print(f"{detectable_difference(sd=1.0, seeds=8, comparisons=15):.2f}")
        1.93
    """
    if seeds < 2:
        raise ValueError(
            f"seeds must be ≥ 2, got {seeds}: one run per candidate gives no estimate of the random variation."
        )
    critical = stats.t.ppf(1 - alpha / (2 * comparisons), seeds - 1)
    delta = optimize.brentq(lambda d: stats.nct.sf(critical, seeds - 1, d) - power, 0.0, 2 * critical + 10)
    return float(delta * sd / np.sqrt(seeds))


def sequential_limit(sd: float, rounds: int, comparisons: int, alpha: float = ALPHA) -> float:
    """Compute the smallest difference that a study detects with 80 % power if it looks after each round of seeds.

    The level of the last look is used, so that what earlier looks detect is a reserve.

    Args:
        sd: Standard deviation of the paired differences, > 0.
        rounds: The largest number of rounds, ≥ 2.
        comparisons: m ≥ 1 pairs.
        alpha: Error over all pairs and looks.

    Example:
        >>> print(f"{sequential_limit(sd=1.0, rounds=8, comparisons=1):.2f}")
        1.34
    """
    if rounds < LEAST:
        return detectable_difference(sd, rounds, comparisons, alpha)
    level = nominal_levels(tuple(looks(rounds)), rounds, alpha / comparisons)[-1]
    return detectable_difference(sd, rounds, 1, level)


def cautious_sd(sd: float, degrees: int, assurance: float = ASSURANCE) -> float:
    r"""Compute an upper confidence limit of a standard deviation that was estimated from a few runs.

    $$\text{sd} \sqrt{\nu / \chi^2_{1-\text{assurance},\,\nu}}$$

    Args:
        sd: The estimate.
        degrees: $\nu$ ≥ 1, its degrees of freedom.
        assurance: In (0, 1): the probability that the true value lies below the limit.

    Example:
        >>> print(f"{cautious_sd(1.0, degrees=3):.2f} {cautious_sd(1.0, degrees=30):.2f}")
        1.73 1.13
    """
    return float(sd * np.sqrt(degrees / stats.chi2.ppf(1 - assurance, degrees)))
