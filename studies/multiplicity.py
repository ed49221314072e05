"""Many comparisons at once: p-values that stay honest together."""

import numpy as np
from numpy.typing import ArrayLike

from studies.intervals import Floats


def holm(p_values: ArrayLike) -> Floats:
    r"""Holm's step-down correction: calling those below 0.05 different errs in at most 5 % of *studies*.

    $$\tilde p_{(i)} = \max_{j \le i} \min\{1, (m - j + 1)\, p_{(j)}\}, \qquad p_{(1)} \le \dots \le p_{(m)}$$

    Args:
        p_values: m of them along the last axis.

    Shape:
        `(…, m)` → `(…, m)`, in the order given.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]

    Reference:
        S. Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, axis=-1, kind="stable")
    factors = p.shape[-1] - np.arange(p.shape[-1])
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1).clip(max=1.0)
    corrected = np.empty_like(stepped)
    np.put_along_axis(corrected, order, stepped, axis=-1)
    return corrected
