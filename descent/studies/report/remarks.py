"""Remarks that accompany a verdict; each says what was counted or checked in the runs of the study."""

from collections.abc import Iterator

import numpy as np

from descent.studies.report.analysis import CandidateSummary, StudyAnalysis
from descent.studies.report.scale import Scale, enumerate_names
from descent.studies.running.planner import Plan
from descent.studies.statistics.counts import proportion
from descent.studies.statistics.power import detectable_difference
from descent.studies.statistics.sequential_test import collapsed_runs, failed_rounds


def remarks(analysis: StudyAnalysis, plan: Plan | None) -> list[str]:
    """List what a reader of the verdict must know: detectable difference, failed runs, search range, pairing."""
    found = [*_limit(analysis, plan), *_risk(analysis)]
    for summary in analysis.summaries:
        found += _candidate_remarks(summary, analysis.metric)
    found += _pairing(analysis)
    if not analysis.timed:
        found.append("Timings are omitted: other programs may have been running during the final runs.")
    if analysis.metric == analysis.config.metric and analysis.compared:
        found.append("No final run has a test metric: candidates are judged on the validation data of the final runs.")
    return found


def _limit(analysis: StudyAnalysis, plan: Plan | None) -> Iterator[str]:
    limit = detectable(analysis)
    if limit is None:
        return
    scale = Scale(analysis.metric)
    planned = f" (planned: {scale.difference(plan.limit)})" if plan is not None and plan.limit is not None else ""
    yield (
        f"With {analysis.rounds} rounds a difference of {scale.difference(limit)}{planned} is found with a probability "
        "of 80 % in the pair with the largest spread; a pair that is undecided may differ by less."
    )


def detectable(analysis: StudyAnalysis) -> float | None:
    """Compute the smallest difference that the rounds detect with 80 % power, from the largest spread of all pairs."""
    if analysis.decisions is None or not analysis.pairs:
        return None
    scores = analysis.round_scores
    x = np.where(failed_rounds(scores.runs) | ~np.isfinite(scores.means), np.nan, scores.means)
    limits = []
    for i, j in analysis.decisions.pairs:
        d = x[i] - x[j]
        d = d[~np.isnan(d)]
        if len(d) > 1 and d.std(ddof=1) > 0:
            limits.append(detectable_difference(float(d.std(ddof=1)), len(d), 1, alpha=analysis.decisions.level))
    return max(limits, default=None)


def _risk(analysis: StudyAnalysis) -> Iterator[str]:
    """Say in how many rounds a final run diverged or collapsed, and how large this risk may be."""
    if not analysis.pairs:
        return
    runs = analysis.round_scores.runs
    low, bad = collapsed_runs(runs).any(axis=-1), failed_rounds(runs)
    total = (~np.isnan(runs).any(axis=-1) | bad).sum(axis=-1)
    clean: list[tuple[str, float]] = []
    for name, count, rounds, fallen in zip(analysis.compared, bad.sum(-1), total, low.sum(-1), strict=True):
        share = proportion(int(count), int(rounds))
        if not count:
            clean.append((name, float(share.high)))
            continue
        kind = f"diverged or collapsed ({fallen} far below the median)" if fallen else "diverged"
        yield (
            f"{name}: in {count} of {rounds} rounds a final run {kind}; 95 % interval of this risk: "
            f"{100 * share.low:.0f} to {100 * share.high:.0f} %."
        )
    if clean:
        names = enumerate_names([name for name, _ in clean])
        yield (
            f"No final run of {names} diverged or collapsed. With 95 % confidence the risk of each per round is at "
            f"most {100 * max(high for _, high in clean):.0f} %; the intervals do not contain it."
        )
    left_out = [f"{a} and {b}" for (a, b), pair in analysis.pairs.items() if pair.without_failed and a < b]
    if left_out:
        yield (
            "Rounds in which a run diverged or collapsed are left out of the pair's difference, which is that of runs "
            "that succeed; one is called better only if it is better in most rounds, with failed runs as the worst: "
            f"{'; '.join(left_out)}."
        )


def _pairing(analysis: StudyAnalysis) -> Iterator[str]:
    same_weights, same_batches = analysis.pairing()
    if not same_batches:
        yield "In final runs with the same seed the first batches differed between the candidates."
    if not same_weights:
        yield "In final runs with the same seed the initial weights differed between the candidates."


def _candidate_remarks(summary: CandidateSummary, metric: str) -> Iterator[str]:
    name = summary.name
    if summary.crashed == summary.runs and summary.runs:
        yield f"{name} crashed in every run: {summary.message}"
    elif summary.point is None:
        yield f"{name}: no tuning trial has a score ({summary.diverged} diverged, {summary.crashed} crashed)."
    elif summary.diverged or summary.crashed:
        text = f"{name}: {summary.diverged} of {summary.runs} runs diverged, {summary.crashed} crashed"
        yield (
            f"{text}; of the {summary.final_runs} final runs {summary.final_diverged} and {summary.final_crashed}."
            + (f" First message: {summary.message}" if summary.message else "")
        )
    if summary.unmeasured:
        count = f"{summary.unmeasured} of {summary.final_runs} final runs"
        yield f"{name}: {count} have no finite {metric} and are left out."
    if summary.at_edge:
        keys = ", ".join(summary.at_edge)
        yield f"{name}: the best {keys} is at the edge of the search range; a longer search may find a better one."
