"""The verdict of a study in one sentence, and the remarks that must accompany it."""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from descent.studies.report.analysis import ALPHA, CandidateSummary, StudyAnalysis
from descent.studies.running.planner import Plan
from descent.studies.statistics.power import detectable_difference


class Scale:
    """Format values of a metric: accuracies in percent and their differences in points, other metrics as numbers.

    Args:
        metric: Name of the metric.

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
        """Format a value."""
        return _signed(f"{100 * value:.1f} %" if self.percent else f"{value:.4g}")

    def difference(self, value: float) -> str:
        """Format a difference of two values."""
        return _signed(f"{100 * value:.1f} points" if self.percent else f"{value:.3g}")

    def plus_minus(self, value: float, half: float) -> str:
        """Format a difference with half the width of its interval."""
        if self.percent:
            return _signed(f"{100 * value:.1f} ± {100 * half:.1f} points")
        return _signed(f"{value:.3g} ± {half:.2g}")


def _signed(text: str) -> str:
    return text.replace("-", "−") if text.startswith("-") else text


def verdict(analysis: StudyAnalysis) -> str:
    """Say which candidates are best, how far the others are behind, and which one to choose for few trials."""
    compared = [name for name in analysis.ranking if name in analysis.compared]
    failed = [name for name in analysis.config.names if name not in analysis.compared]
    if len(compared) < 2:
        return f"No verdict: fewer than two candidates have final runs to compare ({enumerate_names(failed)} failed)."
    best = compared[0]
    top = [name for name in compared if not _differ(analysis, name, best)]
    parts = [
        _top_sentence(analysis, best, top),
        *(_behind(analysis, best, name) for name in compared if name not in top),
    ]
    if failed:
        verb = "is" if len(failed) == 1 else "are"
        parts.append(f"{enumerate_names(failed)} failed in final runs and {verb} not ranked")
    few = few_trials(analysis, best)
    return "; ".join([part for part in parts if part] + ([few] if few else [])) + "."


def _differ(analysis: StudyAnalysis, name: str, other: str) -> bool:
    found = analysis.difference(name, other)
    return found is not None and found[3] < ALPHA


def _top_sentence(analysis: StudyAnalysis, best: str, top: Sequence[str]) -> str:
    scale = Scale(analysis.metric)
    value = scale.value(analysis.mean(best))
    if len(top) == 1:
        return f"{best} is best, at {value} of {analysis.metric}"
    groups = [set(analysis.letters[name]) for name in top]
    chain = "" if set.intersection(*groups) else " with the best"
    return f"{enumerate_names(top)} tie{chain} (about {value} of {analysis.metric})"


def _behind(analysis: StudyAnalysis, best: str, name: str) -> str:
    found = analysis.difference(best, name)
    assert found is not None
    mean, low, high, _ = found
    return f"{name} is {Scale(analysis.metric).plus_minus(abs(mean), (high - low) / 2)} behind"


def few_trials(analysis: StudyAnalysis, best: str) -> str:
    """Name the candidate to prefer for few tuning trials: ahead of the best by more than the detectable difference."""
    curves = {name: analysis.expected(name) for name in analysis.compared}
    shortest = min((len(curve) for curve in curves.values()), default=0)
    if shortest < 3:
        return ""
    sign = 1 if analysis.config.larger_is_better else -1
    leaders = [max(curves, key=lambda name: sign * curves[name][k]) for k in range(shortest)]
    first, limit = leaders[0], detectable(analysis) or 0.0
    ahead = [
        leader == first and sign * (curves[first][k] - curves[best][k]) > limit for k, leader in enumerate(leaders)
    ]
    last = ahead.index(False) if False in ahead else 0  # ahead to the end means that tuning and final runs disagree
    if not last:
        return ""
    trials = f"{last} tuning trials or fewer" if last > 1 else "a single trial"
    return f"with {trials} {first} is the safer choice"


def remarks(analysis: StudyAnalysis, plan: Plan | None) -> list[str]:
    """List what a reader of the verdict must know: detectable difference, failed runs, search range, pairing."""
    found = []
    limit = detectable(analysis)
    if limit is not None:
        scale = Scale(analysis.metric)
        planned = f" (planned: {scale.difference(plan.limit)})" if plan is not None and plan.limit is not None else ""
        smallest = f"{scale.difference(limit)} or more{planned}"
        found.append(f"These runs detect differences of {smallest}; a tie may hide a smaller one.")
    for summary in analysis.summaries:
        found += _candidate_remarks(summary)
    same_weights, same_batches = analysis.pairing()
    if not same_batches:
        found.append("The candidates did not see the same batches: their data differ.")
    if not same_weights:
        found.append("The candidates did not start from the same weights: their networks differ.")
    if not analysis.timed:
        found.append("Timings are omitted: other programs may have been running during the final runs.")
    if analysis.metric.startswith("val/"):
        found.append("The data has no test set: candidates are judged on the validation data of the final runs.")
    return found


def _candidate_remarks(summary: CandidateSummary) -> Iterator[str]:
    name = summary.name
    if summary.crashed == summary.runs and summary.runs:
        yield f"{name} crashed in every run: {summary.message}"
    elif summary.point is None:
        yield f"{name} diverged in every tuning trial."
    elif summary.diverged or summary.crashed:
        yield f"{name}: {summary.diverged} of {summary.runs} runs diverged, {summary.crashed} crashed."
    if summary.at_edge:
        keys = ", ".join(summary.at_edge)
        yield f"{name}: the best {keys} is at the edge of the search range; a longer search may find a better one."


def enumerate_names(names: Sequence[str]) -> str:
    """Join names: `A`, `A and B`, `A, B and C`.

    Example:
        >>> enumerate_names(["A", "B", "C"])
        'A, B and C'
    """
    if len(names) < 2:
        return "".join(names) or "none"
    return f"{', '.join(names[:-1])} and {names[-1]}"


def detectable(analysis: StudyAnalysis) -> float | None:
    """Compute the smallest difference that the final runs detect with 80 % power, from their own spread."""
    rows = np.array([list(r.scores.values()) for r in analysis.summaries if r.name in analysis.compared])
    if analysis.tests is None:
        return None
    spread = [float((rows[i] - rows[j]).var(ddof=1)) for i, j in analysis.tests.pairs]
    sd = math.sqrt(sum(spread) / len(spread))
    return detectable_difference(sd, rows.shape[1], len(spread)) if sd > 0 else None
