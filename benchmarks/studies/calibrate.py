"""How much more often a sequence of t-tests errs than the levels of a known variance allow.

    python -m benchmarks.studies.calibrate [--count 200000]

The levels of the looks (`nominal_levels`) are those of normal sums with known variance. With Student's t and few
rounds the error of all looks together is larger. For numbers of rounds and pairs this prints the error divided by what
was allowed, without the correction `ESTIMATED_VARIANCE`; the constant in `group_sequential.py` is the largest ratio,
rounded up.
"""

import numpy as np
from scipy import stats

from benchmarks.common.command_line import parser
from descent.studies.statistics.group_sequential import ESTIMATED_VARIANCE, looks, nominal_levels


def inflation(most: int, pairs: int, count: int, seed: int = 0) -> float:
    """Return error over allowed error of one pair of equal candidates with normal noise."""
    x = np.random.default_rng(seed).normal(size=(count, most))
    at, alpha = looks(most), 0.05 / pairs
    crossed = np.zeros(count, dtype=bool)
    for rounds, level in zip(at, nominal_levels(tuple(at), most, alpha * ESTIMATED_VARIANCE), strict=True):
        part = x[:, :rounds]
        t = part.mean(axis=1) / (part.std(axis=1, ddof=1) / np.sqrt(rounds))
        crossed |= np.abs(t) > stats.t.isf(level / 2, rounds - 1)
    return float(crossed.mean() / alpha)


def main() -> None:
    """Print the ratios and the largest one."""
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=200_000)
    count = options.parse_args().count
    found = []
    for most in (4, 6, 8, 12, 20, 30):
        for pairs in (1, 3, 15):
            found.append(inflation(most, pairs, count))
            print(f"{most:3d} rounds  {pairs:3d} pairs  {found[-1]:.3f}", flush=True)
    print(f"largest {max(found):.3f}")


if __name__ == "__main__":
    main()
