"""How the choice of the test images moves a mean difference: the second source of chance in a verdict."""

import numpy as np
from numpy.typing import ArrayLike


def image_error(differences: ArrayLike) -> float:
    r"""Estimate the standard error of a mean difference that comes from the choice of the test images.

    Rounds and images are crossed random effects: $d_{ri} = \mu + a_r + b_i + e_{ri}$. The spread of the rounds' means
    contains $a$ and $e$, but not $b$, which is the same in every round. Its variance follows from the mean squares of
    the images and of what is left,

    $$\hat\sigma_b^2 = \max\left(\frac{\text{MS}_b - \text{MS}_e}{R}, 0\right), \qquad
    \text{MS}_b = \frac{R}{n-1} \sum_i (\bar d_{\cdot i} - \bar d)^2, \qquad
    \text{MS}_e = \frac{\sum_{r,i} (d_{ri} - \bar d_{r\cdot} - \bar d_{\cdot i} + \bar d)^2}{(R-1)(n-1)},$$

    and the result is $\hat\sigma_b / \sqrt n$. Studies of readers and cases in radiology have this design.

    Args:
        differences: One row per round, one column per image: the share of the round's runs in which one candidate was
            right, minus that of the other. R ≥ 2, n ≥ 2.

    Raises:
        ValueError: There are fewer than two rounds or images, so that nothing tells images from noise.

    Example:
        >>> print(f"{image_error([[1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]):.2f}")  # always the same image
        0.25

    Reference:
        D. Dorfman, K. Berbaum, C. Metz, "Receiver operating characteristic rating analysis", 1992;
        S. Hillis, "A comparison of denominator degrees of freedom methods for multiple observer ROC analysis", 2007;
        A. Owen, "The pigeonhole bootstrap", 2007.
    """
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 2 or min(d.shape) < 2:
        raise ValueError(f"differences must have at least 2 rounds and 2 images, got shape {d.shape}.")
    rounds, images = d.shape
    of_round, of_image = d.mean(axis=1, keepdims=True), d.mean(axis=0, keepdims=True)
    left = ((d - of_round - of_image + d.mean()) ** 2).sum() / ((rounds - 1) * (images - 1))
    between = rounds * of_image.var(ddof=1)
    return float(np.sqrt(max(between - left, 0.0) / (rounds * images)))
