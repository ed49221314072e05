"""One sentence to quote, and what must be said beside it."""

import math
from collections.abc import Sequence

import numpy as np

from descent.studies.report.results import ALPHA, StudyTables
from descent.studies.running.planner import Plan
from descent.studies.statistics.power import detectable_difference


class Scale:
    """How values of a metric are written: accuracies as percentages, differences in points; others as numbers.

    Args:
        metric: Its name.

    Example:
        >>> Scale("test/accuracy").value(0.9123), Scale("test/accuracy").difference(-0.0081)
        ('91.2 %', '−0.8 points')
        >>> Scale("test/mae").difference(0.01234)
        '0.0123'
    """

    def __init__(self, metric: str) -> None:
        name = metric.rpartition("/")[2]
        self.percent = any(word in name for word in ("accuracy", "recall", "precision", "f1"))

    def value(self, value: float) -> str:
        """A value."""
        return _signed(f"{100 * value:.1f} %" if self.percent else f"{value:.4g}")

    def difference(self, value: float) -> str:
        """A difference of two values."""
        return _signed(f"{100 * value:.1f} points" if self.percent else f"{value:.3g}")

    def plus_minus(self, value: float, half: float) -> str:
        """A difference with half the width of its interval."""
        if self.percent:
            return _signed(f"{100 * value:.1f} ± {100 * half:.1f} points")
        return _signed(f"{value:.3g} ± {half:.2g}")


def _signed(text: str) -> str:
    return text.replace("-", "−") if text.startswith("-") else text


def verdict(tables: StudyTables) -> str:
    """The sentence: who ties at the top, who is how far behind, and what few trials would have made of it."""
    compared = list(tables.table.index[tables.table.index.isin(tables.compared)])
    if len(compared) < 2:
        failed = [r.name for r in tables.rivals if r.name not in tables.compared]
        return f"No verdict: fewer than two candidates have re-runs to compare ({enumerate_names(failed)} failed)."
    best = str(compared[0])
    top = [name for name in compared if not _apart(tables, name, best)]
    parts = [_top_sentence(tables, best, top), *(_behind(tables, best, name) for name in compared if name not in top)]
    failed = [r.name for r in tables.rivals if r.name not in tables.compared]
    if failed:
        parts.append(
            f"{enumerate_names(failed)} failed in re-runs and {'is' if len(failed) == 1 else 'are'} not ranked"
        )
    few = few_trials(tables, best)
    return "; ".join([part for part in parts if part] + ([few] if few else [])) + "."


def _apart(tables: StudyTables, name: str, other: str) -> bool:
    found = tables.difference(name, other)
    return found is not None and found[3] < ALPHA


def _top_sentence(tables: StudyTables, best: str, top: Sequence[str]) -> str:
    scale = Scale(tables.metric)
    value = scale.value(float(tables.table["mean"].to_dict()[best]))
    if len(top) == 1:
        return f"{best} is best, at {value} of {tables.metric}"
    groups = [set(tables.letters[name]) for name in top]
    chain = "" if set.intersection(*groups) else " with the best"
    return f"{enumerate_names(top)} tie{chain} (about {value} of {tables.metric})"


def _behind(tables: StudyTables, best: str, name: str) -> str:
    found = tables.difference(best, name)
    assert found is not None
    mean, low, high, _ = found
    return f"{name} is {Scale(tables.metric).plus_minus(abs(mean), (high - low) / 2)} behind"


def few_trials(tables: StudyTables, best: str) -> str:
    """Who is the safer choice with few trials: ahead of the winner by more than the study's own limit."""
    curves = {name: tables.expected(name) for name in tables.compared}
    shortest = min((len(curve) for curve in curves.values()), default=0)
    if shortest < 3:
        return ""
    sign = 1 if tables.config.larger_is_better else -1
    leaders = [max(curves, key=lambda name: sign * curves[name][k]) for k in range(shortest)]
    first, limit = leaders[0], resolved(tables) or 0.0
    ahead = [
        leader == first and sign * (curves[first][k] - curves[best][k]) > limit for k, leader in enumerate(leaders)
    ]
    last = ahead.index(False) if False in ahead else 0  # ahead to the end: tuning and re-runs disagree, not few trials
    if not last:
        return ""
    trials = f"{last} tuning trials or fewer" if last > 1 else "a single trial"
    return f"with {trials} {first} is the safer choice"


def remarks(tables: StudyTables, plan: Plan | None) -> list[str]:
    """What must be said beside the verdict."""
    found = []
    limit = resolved(tables)
    if limit is not None:
        scale = Scale(tables.metric)
        planned = f" (planned: {scale.difference(plan.limit)})" if plan is not None and plan.limit is not None else ""
        found.append(
            f"These runs find differences of {scale.difference(limit)} and more{planned}; a tie may hide a smaller one."
        )
    for rival in tables.rivals:
        if rival.crashed == rival.runs and rival.runs:
            found.append(f"{rival.name} crashed in every run: {rival.message}")
        elif rival.point is None:
            found.append(f"{rival.name} diverged in every tuning trial.")
        elif rival.diverged or rival.crashed:
            found.append(f"{rival.name}: {rival.diverged} of {rival.runs} runs diverged, {rival.crashed} crashed.")
        if rival.at_edge:
            keys = ", ".join(rival.at_edge)
            found.append(
                f"{rival.name}: the best {keys} is the outermost that was tried; a longer search may do better."
            )
    weights, batches = tables.pairing()
    if not batches:
        found.append("The candidates did not see the same batches: the data differs between them.")
    if not weights:
        found.append("The candidates did not start from the same weights: their networks differ.")
    if not tables.timed:
        found.append(
            "Other processes used the machine during the re-runs (or it does not say): no seconds are reported."
        )
    if tables.metric.startswith("val/"):
        found.append("The data has no test set: candidates are judged on validation data of the re-runs.")
    return found


def enumerate_names(names: Sequence[str]) -> str:
    """`A`, `A and B`, `A, B and C`.

    Example:
        >>> enumerate_names(["A", "B", "C"])
        'A, B and C'
    """
    if len(names) < 2:
        return "".join(names) or "nobody"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def resolved(tables: StudyTables) -> float | None:
    """Smallest difference that the re-runs find with 80 % power: the planner's formula with their own spread."""
    rows = np.array([list(r.scores.values()) for r in tables.rivals if r.name in tables.compared])
    if tables.tests is None:
        return None
    spread = [float((rows[i] - rows[j]).var(ddof=1)) for i, j in tables.tests.pairs]
    sd = math.sqrt(sum(spread) / len(spread))
    return detectable_difference(sd, rows.shape[1], len(spread)) if sd > 0 else None
