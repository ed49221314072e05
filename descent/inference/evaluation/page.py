"""The evaluation page: accuracy, class scores, confusion matrix, calibration, and the most confident mistakes."""

from collections.abc import Sequence
from functools import partial

from descent.inference.evaluation.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.figures import confusion_figure, reliability_diagram
from descent.inference.page_elements import Budget, Thumbnail, corrupt_files, gallery, percent, probability_text
from foundation.html import document, note, section, table
from foundation.html.document import Section
from foundation.html.elements import escaped, shaded
from foundation.html.svg import captioned

MAX_MISTAKES = 60
MAX_CONFUSIONS = 10
MAX_TABLE_CLASSES = 20
"""Up to this many classes the confusion matrix is a table, with more a figure."""


def evaluation_page(found: Evaluation, network: str, remarks: Sequence[str] = ()) -> str:
    """Make the page's HTML, with the network's name as subtitle and further remarks at the top."""
    notes = [*remarks, *_frequent_confusion(found), calibration_sentence(found)]
    lead = f'<p class="verdict" id="verdict">{escaped(accuracy_sentence(found))}</p>'
    lead += f'<ul class="remarks">{"".join(f"<li>{escaped(text)}</li>" for text in notes)}</ul>'
    sections = [
        section("classes", "Classes", _class_table(found)),
        section("confusion", "Confusion matrix", _confusion_matrix(found)),
        section("calibration", "Calibration", _calibration(found)),
        _mistakes(found),
        *corrupt_files(found.predictions.failures),
    ]
    return document("Evaluation", network, lead, sections)


def accuracy_sentence(found: Evaluation) -> str:
    """State the accuracy and its confidence interval."""
    low, high = found.interval
    return (
        f"Accuracy {found.accuracy:.2%}: {found.correct_count:,} of {found.count:,} samples are classified correctly; "
        f"95% confidence interval (Wilson) {low:.2%} to {high:.2%}."
    )


def calibration_sentence(found: Evaluation) -> str:
    """State mean confidence and calibration error, before and after temperature scaling."""
    text = (
        f"The mean confidence (probability of the predicted class) is {percent(float(found.confidence.mean()))}, the "
        f"expected calibration error (ECE) {found.calibration.ece:.2%}."
    )
    temperature, scaled = found.temperature, found.scaled_calibration
    if temperature is None or scaled is None:
        return text
    text += (
        f" With a temperature of {temperature.value:.3f}, fitted on {temperature.samples:,} validation samples, the "
        f"ECE is {scaled.ece:.2%}."
    )
    if temperature.at_search_limit:
        limits = f"{MIN_TEMPERATURE:g} to {MAX_TEMPERATURE:g}"
        text += f" This temperature is at the limit of the search range ({limits}); a better one may lie outside it."
    return text


def _frequent_confusion(found: Evaluation) -> list[str]:
    confusions = found.confusions()
    if not confusions:
        return []
    true, predicted, count = confusions[0]
    text = f"Most frequent confusion: {true} is predicted as {predicted} ({count:,} of {found.count:,} samples)"
    ties = sum(other == count for *_, other in confusions) - 1
    return [f"{text}; other pairs of classes that are confused as often: {ties:,}." if ties else f"{text}."]


def _class_table(found: Evaluation) -> str:
    rows = [
        (score.name, f"{score.samples:,}", *map(percent, (score.precision, score.recall, score.f1)))
        for score in found.class_scores
    ]
    rows.append(("mean over classes", f"{found.count:,}", *map(percent, found.macro_means().values())))
    explanation = note(
        "Precision: share of the predictions of this class that are correct. Recall: share of the samples of this "
        "class that are predicted as it. F1: their harmonic mean. –: not defined, because no sample is predicted as "
        "this class, or none belongs to it."
    )
    return table("Classes", ["class", "samples", "precision", "recall", "F1"], rows) + explanation


def _confusion_matrix(found: Evaluation) -> str:
    names, counts = found.class_names, found.confusion
    if len(names) > MAX_TABLE_CLASSES:
        caption = "Each row is a true class: the share of its samples that is predicted as each class."
        matrix = captioned(confusion_figure(counts.numpy()), "map", caption)
    else:
        rows = [
            (true, *(_cell(count, sum(row), true, predicted) for count, predicted in zip(row, names, strict=True)))
            for true, row in zip(names, counts.tolist(), strict=True)
        ]
        matrix = table("Confusion matrix", ["true ↓ predicted →", *names], rows)
    confusions = [(true, predicted, f"{count:,}") for true, predicted, count in found.confusions()[:MAX_CONFUSIONS]]
    if not confusions:
        return matrix
    listed = table("Most frequent confusions", ["true class", "predicted class", "samples"], confusions)
    return f"{matrix}<h3>Most frequent confusions</h3>{listed}"


def _cell(count: int, total: int, true: str, predicted: str) -> object:
    share = count / total if total else 0.0
    title = f"{true} predicted as {predicted}: {count:,} of {total:,} ({percent(share)})"
    return shaded(f"{count:,}", share, escaped(title))


def _calibration(found: Evaluation) -> str:
    figures = captioned(
        reliability_diagram(found.calibration), "before", f"As trained: ECE {found.calibration.ece:.2%}."
    )
    if found.scaled_calibration is not None and found.temperature is not None:
        caption = f"With temperature {found.temperature.value:.3f}: ECE {found.scaled_calibration.ece:.2%}."
        figures += captioned(reliability_diagram(found.scaled_calibration), "after", caption)
    explanation = note(
        "A calibrated network's bars end at the dashed line: of the predictions with a confidence of 80%, 80% are "
        "correct. A bar below the line: the network is overconfident there; above: underconfident. ECE: mean distance "
        f"of the dots from the line over {len(found.calibration.counts)} bins, weighted by the number of predictions."
    )
    return f'<div class="figures">{figures}</div>{explanation}'


def _mistakes(found: Evaluation) -> Section:
    rows = found.mistakes()
    predictions = found.predictions
    title = "Most confident mistakes"
    if not rows:
        return section("mistakes", title, "<p>There are no mistakes.</p>")
    if predictions.load_image is None:
        cells = [(predictions.names[row], *_captions(found, row)) for row in rows[:MAX_MISTAKES]]
        body = table(title, ["sample", "predicted class", "true class"], cells, left=True)
        return section("mistakes", title, body)
    load = predictions.load_image
    thumbnails = (
        Thumbnail(partial(load, row), ", ".join(_captions(found, row)), _captions(found, row), predictions.names[row])
        for row in rows[:MAX_MISTAKES]
    )
    images, count = gallery(thumbnails, Budget())
    text = note(f"{count:,} of {len(rows):,} mistakes, the most confident first.")
    return section("mistakes", title, text + images)


def _captions(found: Evaluation, row: int) -> tuple[str, str]:
    predicted = found.class_names[int(found.predictions.classes[row])]
    true = found.class_names[int(found.predictions.targets[row])]
    return f"{predicted} {probability_text(float(found.confidence[row]))}", f"true: {true}"
