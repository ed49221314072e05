"""The part of a page about the positive class: ROC, precision-recall, table of thresholds."""

from descent.inference.evaluation.labels.binary import BinaryScores
from descent.inference.evaluation.labels.curves import Counts, Interval
from descent.inference.evaluation.labels.figures import drawn, precision_recall_figure, roc_figure, threshold_titles
from descent.inference.page_elements import percent
from foundation.html import note, table
from foundation.html.svg import captioned


def positive_sentence(found: BinaryScores) -> str:
    """Say which class is positive, and how well it is found."""
    curves, current = found.curves, found.current
    start = (
        f"Positive is {found.positive}, negative {found.negative}: {curves.positives:,} of {curves.count:,} samples "
        f"({percent(curves.prevalence)}) are positive."
    )
    if not curves.positives or not curves.negatives:
        return f"{start} Without samples of both classes, AUC and average precision are not defined."
    return (
        f"{start} At the threshold {found.threshold:g}, precision is {percent(current.precision)} and recall "
        f"{percent(current.recall)}. AUC {_with_interval(curves.auc, curves.auc_interval)}; guessing would give 0.5. "
        f"Average precision {_with_interval(curves.average_precision, curves.average_precision_interval)}; guessing "
        f"would give {curves.prevalence:.3f}."
    )


def threshold_remark(found: BinaryScores) -> list[str]:
    """Name a threshold with a much higher F1, if there is one."""
    best, now = found.best_f1(), found.current.f1
    if best is None or not best.f1 > now + 0.02:
        return []
    return [
        f"At the threshold {best.threshold:g}, the F1 of {found.positive} is {percent(best.f1)} instead of "
        f"{percent(now)} at {found.threshold:g}. It was chosen on these samples: check it on others."
    ]


def binary_part(found: BinaryScores) -> str:
    """Return the HTML of curves and table; the page says `positive_sentence` at its top."""
    return f"{_figures(found)}{_table(found)}"


def _with_interval(value: float, interval: Interval) -> str:
    low, high = interval
    return f"{value:.3f}" + (f" (95% confidence interval {low:.3f} to {high:.3f})" if low == low else "")


def _figures(found: BinaryScores) -> str:
    curves, rows = found.curves, drawn(found.table)
    if not curves.positives or not curves.negatives:
        return ""
    titles, area, precision = threshold_titles(rows), curves.auc, curves.average_precision
    figures = captioned(
        roc_figure(curves, rows, found.current),
        "roc",
        f"ROC curve of {found.positive}, AUC {area:.3f}; dashed: guessing.",
        titles,
    )
    figures += captioned(
        precision_recall_figure(curves, rows, found.current), "precision-recall",
        f"Precision and recall of {found.positive}, average precision {precision:.3f}; dashed: guessing.", titles,
    )  # fmt: skip
    explanation = note(
        f"The circle is the threshold {found.threshold:g}. Point at a dot to see its threshold. The interval of the "
        "AUC is DeLong's, that of the average precision Boyd's, both on the logit scale."
    )
    return f'<div class="figures">{figures}</div>{explanation}'


def _table(found: BinaryScores) -> str:
    head = ["threshold", "precision", "recall", "F1", "accuracy", "found", "false alarms", "missed", "rightly negative"]
    rows = [_row(row, " (used)" if row.threshold == found.threshold else "") for row in found.table]
    explanation = note(
        f"A probability of {found.positive} of at least the threshold is predicted {found.positive}. Found: samples of "
        f"{found.positive} predicted as it; false alarms: samples of {found.negative} predicted as {found.positive}; "
        f"missed: samples of {found.positive} predicted as {found.negative}."
    )
    return f"<h3>Thresholds</h3>{table('Thresholds', head, rows)}{explanation}"


def _row(row: Counts, mark: str) -> tuple[str, ...]:
    scores = map(percent, (row.precision, row.recall, row.f1, row.accuracy))
    return f"{row.threshold:g}{mark}", *scores, *(f"{count:,}" for count in row[1:])
