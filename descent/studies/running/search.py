"""Where tuning looks: log-uniform around each candidate's own default, quasi-random, wider where the edge is best."""

from collections.abc import Mapping, Sequence

from scipy.stats import qmc

Point = dict[str, float]

STEP_OUT = 0.25
"""How far beyond the edge a widening trial goes, as a share of the range's width (on the log axis)."""


def trial_point(
    index: int,
    trials: int,
    defaults: Point,
    factors: Mapping[str, float],
    past: Sequence[tuple[Point, float | None]],
    larger_is_better: bool,
) -> Point:
    r"""Values of tuning trial `index` of a candidate; a pure function of the trials before it.

    Trial 0 is the candidate's own default. The following are points $u$ of a Halton sequence, the same for all
    candidates, as $\text{default} \cdot f^{2u - 1}$. About the last third of the budget is kept back: each of those
    goes a step beyond the edge if the best so far is the outermost that was tried, else on with the sequence. So a
    range is widened, and every candidate still has the same number of trials.

    Args:
        index: 0 … trials − 1.
        trials: The budget K of each candidate.
        defaults: By key, > 0.
        factors: By key, $f$ > 1.
        past: Points and scores of trials 0 … index − 1; `None` for one that diverged or crashed.
        larger_is_better: Direction of the scores.

    Example:
        >>> defaults, factors = {"lr": 0.1}, {"lr": 10.0}
        >>> [round(trial_point(i, 5, defaults, factors, [], True)["lr"], 4) for i in range(3)]
        [0.1, 0.0316, 0.3162]
        >>> past = [({"lr": 0.1}, 0.9), ({"lr": 0.0316}, 0.8), ({"lr": 0.3162}, 0.95)]
        >>> round(trial_point(3, 5, defaults, factors, past, True)["lr"], 2)
        1.0
    """
    if index == 0 or not factors:
        return dict(defaults)
    if index >= first_reserved(trials):
        edges = best_at_edge(past, larger_is_better)
        if edges:
            best = best_point(past, larger_is_better)
            assert best is not None
            return {key: value * factors[key] ** (2 * STEP_OUT * edges.get(key, 0)) for key, value in best.items()}
    unit = qmc.Halton(d=len(factors), scramble=False).random(index + 2)[index + 1]  # 0 is a corner, 1 the middle
    return {key: defaults[key] * factors[key] ** (2 * float(u) - 1) for (key, u) in zip(factors, unit, strict=True)}


def first_reserved(trials: int) -> int:
    """Index of the first trial that is kept back for widening, about a third of the budget, at its end."""
    return trials - (trials + 1) // 3


def best_point(past: Sequence[tuple[Point, float | None]], larger_is_better: bool) -> Point | None:
    """The point of the best score; the earliest of equal ones; `None` where nothing was scored."""
    scored = [(score, point) for point, score in past if score is not None]
    if not scored:
        return None
    pick = max if larger_is_better else min
    return pick(scored, key=lambda entry: entry[0])[1]


def best_at_edge(past: Sequence[tuple[Point, float | None]], larger_is_better: bool) -> dict[str, int]:
    """Keys whose best value is the smallest (−1) or largest (+1) of all that were tried, also by what diverged.

    Example:
        >>> best_at_edge([({"lr": 0.1}, 0.9), ({"lr": 1.0}, None)], larger_is_better=True)
        {'lr': -1}
    """
    best = best_point(past, larger_is_better)
    if best is None or len(past) < 2:
        return {}
    edges = {}
    for key, value in best.items():
        tried = [point[key] for point, _ in past]
        if value <= min(tried) * (1 + 1e-9):
            edges[key] = -1
        elif value >= max(tried) * (1 - 1e-9):
            edges[key] = 1
    return edges
