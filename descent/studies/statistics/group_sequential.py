"""Look at a study after each round of seeds: at which rounds, and at which level, so that all looks together keep α."""

from functools import cache

import numpy as np
from scipy import optimize, stats

from descent.studies.statistics.intervals import Floats

FIRST_LOOK, LEAST = 4, 3
"""Rounds before the first look, and the fewest rounds of a whole study that can bear a verdict.

With two rounds the spread is estimated from one difference: of six equal candidates whose scores are counts, up to 82 %
of the studies would claim a difference.
"""
RHO = 2.0
ESTIMATED_VARIANCE = 1.25
"""α is divided by this, because the levels are those of a known variance, and a few rounds estimate it.

The largest inflation over 4 to 30 rounds and 1 to 45 pairs, rounded up; `python -m benchmarks.studies.calibrate`
computes it.
"""
POINTS = 401


def looks(most: int) -> list[int]:
    """List the numbers of rounds after which the candidates are compared, up to the last round.

    The steps grow by a quarter, since a round more tells little when there are many.

    Args:
        most: The largest number of rounds, ≥ 1.

    Example:
        >>> looks(8), looks(20), looks(3), looks(2)
        ([4, 5, 6, 7, 8], [4, 5, 6, 7, 8, 10, 12, 15, 18, 20], [3], [])
    """
    if most < LEAST:
        return []
    found = [min(FIRST_LOOK, most)]
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, found[-1] * 5 // 4)))
    return found


def spent(fraction: float, alpha: float) -> float:
    r"""Return the error that may have been spent up to a look, $\alpha\, t^\rho$ with $\rho = 2$.

    Args:
        fraction: $t$: rounds of the look as a share of the largest number of rounds, in (0, 1].
        alpha: Error of all looks together.

    Example:
        >>> spent(0.5, 0.05), spent(1.0, 0.05)
        (0.0125, 0.05)

    Reference:
        K. Kim, D. L. DeMets, "Design and analysis of group sequential tests based on the type I error spending rate
        function", 1987.
    """
    return alpha * float(min(fraction, 1.0)) ** RHO


@cache
def nominal_levels(at: tuple[int, ...], most: int, alpha: float) -> tuple[float, ...]:
    r"""Compute the two-sided level of each look, such that all looks together err with probability α at most.

    For normal values of known variance, the sum of the first $k$ values moves as a Brownian motion, and the level of
    each look follows from the density of the sums that have crossed no earlier boundary, which is integrated
    numerically (Armitage, McPherson and Rowe). The levels are then used with Student's t, the "significance level
    approach" of Jennison and Turnbull, because the variance is estimated; for few rounds that errs by up to a quarter
    more often, so α is divided by `ESTIMATED_VARIANCE`. A study that ends before its last round has spent less than α.

    Args:
        at: Numbers of rounds of the looks, ascending; the choice must not depend on scores.
        most: The largest number of rounds.
        alpha: Error of all looks together, in (0, 1).

    Example:
        >>> [round(level, 4) for level in nominal_levels((4, 8), 8, 0.05)]
        [0.01, 0.0346]

    Reference:
        P. Armitage, C. K. McPherson, B. C. Rowe, "Repeated significance tests on accumulating data", 1969;
        C. Jennison, B. W. Turnbull, "Group Sequential Methods with Applications to Clinical Trials", 2000, ch. 4.4,
        7.2 and 19.
    """
    levels: list[float] = []
    alpha /= ESTIMATED_VARIANCE
    grid, density = np.zeros(1), np.ones(1)  # of the sum, times the width of a cell
    before = used = 0.0
    for rounds in at:
        fraction = min(rounds / most, 1.0)
        spend, step = spent(fraction, alpha) - used, np.sqrt(fraction - before)
        bound = _boundary(grid, density, float(step), spend)
        levels.append(float(2 * stats.norm.sf(bound / np.sqrt(fraction))))
        following = np.linspace(-bound, bound, POINTS)
        width = following[1] - following[0]
        moved = stats.norm.pdf((following[:, None] - grid[None, :]) / step) / step
        weights = np.full(POINTS, width)
        weights[[0, -1]] /= 2
        grid, density = following, (moved @ density) * weights
        before, used = fraction, used + spend
    return tuple(levels)


def _boundary(grid: Floats, density: Floats, step: float, spend: float) -> float:
    """Find the bound that a sum crosses for the first time with probability `spend`."""

    def too_much(bound: float) -> float:
        beyond = stats.norm.sf((bound - grid) / step) + stats.norm.sf((bound + grid) / step)
        return float(beyond @ density) - spend

    return float(optimize.brentq(too_much, 0.0, 12.0))
