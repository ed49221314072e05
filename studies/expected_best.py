"""What tuning buys: the expected best of k trials, from one pool of trials."""

from collections.abc import Sequence
from math import comb


def expected_best(scores: Sequence[float], larger_is_better: bool) -> list[float]:
    r"""Mean best score of k trials drawn without replacement from the K that were run, for k = 1 … K.

    $$E_k = \sum_{i=k}^{K} \frac{\binom{i-1}{k-1}}{\binom{K}{k}}\, x_{(i)}, \qquad x_{(1)} \le \dots \le x_{(K)}$$

    Exact, where Sivaprasad et al. resample. A trial that diverged counts as the worst score that there is.

    Args:
        scores: One a trial, finite.
        larger_is_better: Otherwise the smallest is the best.

    Example:
        >>> expected_best([1.0, 2.0, 4.0], larger_is_better=True)
        [2.3333333333333335, 3.3333333333333335, 4.0]

    Reference:
        P. T. Sivaprasad, F. Mai, T. Vogels, M. Jaggi, F. Fleuret, "Optimizer Benchmarking Needs to Account for
        Hyperparameter Tuning", 2020.
    """
    ordered = sorted(scores, reverse=not larger_is_better)  # the best comes last
    total = len(ordered)
    return [
        sum(comb(i - 1, k - 1) * ordered[i - 1] for i in range(k, total + 1)) / comb(total, k)
        for k in range(1, total + 1)
    ]
