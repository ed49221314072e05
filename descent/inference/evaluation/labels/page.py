"""The page of a multi-label classifier: each label's scores, the worst first, and its most confident mistakes."""

from collections.abc import Sequence
from functools import partial

from descent.inference.evaluation.labels.evaluation import MultilabelEvaluation
from descent.inference.evaluation.page_parts import first_of, lead, page_title, part, with_interval
from descent.inference.page_elements import Budget, Thumbnail, gallery, percent, probability_text
from foundation.html import document, note, table

MAX_LABELS, MAX_GALLERIES, MAX_MISTAKES = 100, 20, 12


def multilabel_page(found: MultilabelEvaluation, network: str, remarks: Sequence[str] = ()) -> str:
    """Make the page's HTML."""
    notes = [*remarks, *multilabel_remarks(found)]
    budget = Budget()
    sections = part("labels", "Labels", lambda: _label_table(found))
    number = {name: place for place, name in enumerate(found.class_names)}
    for score in found.worst_first()[:MAX_GALLERIES]:
        place = number[score.name]
        sections += part(f"label-{place}", f"Mistakes: {score.name}", partial(_mistakes, found, place, budget))
    return document(page_title(network), network, lead(labels_sentence(found), notes), sections)


def labels_sentence(found: MultilabelEvaluation) -> str:
    """State mean average precision and exact matches, and those of the simplest answer."""
    low, high = found.exact_interval
    return (
        f"Mean average precision {percent(found.mean_average_precision)} over {len(found.labels):,} labels (guessing: "
        f"{percent(found.mean_prevalence)}), mean F1 {percent(found.mean_f1)} at the threshold {found.threshold:g}. "
        f"Every label is right for {found.exact:,} of {found.count:,} samples: {percent(found.exact / found.count)}, "
        f"95% confidence interval (Wilson) {percent(low)} to {percent(high)}; always answering with the most common "
        f"labels, {found.common}, would give {percent(found.exact_baseline)}."
    )


def multilabel_remarks(found: MultilabelEvaluation) -> list[str]:
    """Say where the means hide something: labels that are never found, labels without samples."""
    said = []
    if found.accuracy <= found.baseline_accuracy:
        said.append(
            f"Of all yes-or-no answers {percent(found.accuracy)} are right, no more than with always the more common "
            f"answer to each label ({percent(found.baseline_accuracy)})."
        )
    never = [label.name for label in found.labels if label.prevalence and not label.counts.true_positive]
    if never:
        said.append(f"Labels that were never found: {first_of(never)}.")
    absent = [label.name for label in found.labels if not label.prevalence]
    if absent:
        said.append(f"Labels that no sample has, so that nothing can be said about them: {first_of(absent)}.")
    return said


def _label_table(found: MultilabelEvaluation) -> str:
    rows = [
        (
            score.name, percent(score.prevalence), with_interval(score.average_precision,
            score.average_precision_interval), with_interval(score.auc, score.auc_interval),
            percent(score.counts.precision), percent(score.counts.recall), percent(score.counts.f1),
            f"{score.counts.false_positive:,}", f"{score.counts.false_negative:,}",
        )
        for score in found.worst_first()[:MAX_LABELS]
    ]  # fmt: skip
    head = ["label", "have it", "average precision", "AUC", "precision", "recall", "F1", "false alarms", "missed"]
    more = f" The other {len(found.labels) - MAX_LABELS:,} are in labels.csv." if len(found.labels) > MAX_LABELS else ""
    explanation = note(
        "The label with the lowest average precision comes first. Have it: share of the samples with this label, which "
        "is also the average precision of guessing; an AUC of 50% is guessing. Precision, recall, F1 and the counts "
        f"are at the threshold {found.threshold:g}. –: not defined, for lack of samples.{more}"
    )
    return table("Labels", head, rows) + explanation


def _mistakes(found: MultilabelEvaluation, label: int, budget: Budget) -> str:
    rows, load = found.mistakes(label), found.samples.load_image
    if not rows:
        return "<p>There are no mistakes.</p>"
    shown = rows[:MAX_MISTAKES]
    text = note(f"{len(shown):,} of {len(rows):,} mistakes, the most confident first.")
    if load is None:
        cells = [(found.samples.names[row], *_captions(found, row, label)) for row in shown]
        return text + table("Mistakes", ["sample", "predicted", "true"], cells, left=True)
    thumbnails = [
        Thumbnail(
            partial(load, row), ", ".join(_captions(found, row, label)), _captions(found, row, label),
            found.samples.names[row],
        )
        for row in shown
    ]  # fmt: skip
    return text + gallery(thumbnails, budget)[0]


def _captions(found: MultilabelEvaluation, row: int, label: int) -> tuple[str, str]:
    name, probability = found.class_names[label], probability_text(float(found.probabilities[row, label]))
    kind = "not found" if found.targets[row, label] else "false alarm"
    return f"{kind}: {name} {probability}", f"true: {found.names_of(found.targets[row])}"
