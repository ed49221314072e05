"""The evaluation page: accuracy, class scores, confusion matrix, calibration, and the most confident mistakes."""

from collections.abc import Sequence
from functools import partial

from descent.inference.evaluation.calibration import MAX_TEMPERATURE, MIN_TEMPERATURE
from descent.inference.evaluation.class_scores import ClassScore, wilson_interval
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.figures import confusion_figure, reliability_diagram
from descent.inference.evaluation.labels.binary_page import binary_part, positive_sentence, threshold_remark
from descent.inference.evaluation.mistakes.explanations import Explainer
from descent.inference.evaluation.mistakes.page import explanations_part, suspects_part
from descent.inference.evaluation.page_parts import lead, page_title, part
from descent.inference.page_elements import Budget, Thumbnail, corrupt_files, gallery, percent, probability_text
from foundation.html import document, note, section, table
from foundation.html.document import Section
from foundation.html.elements import ERRORS, FULL, Cell, escaped, shaded
from foundation.html.page_file import sections_of
from foundation.html.svg import captioned

MAX_MISTAKES = 60
MAX_CONFUSIONS = 10
MAX_TABLE_CLASSES, MAX_FIGURE_CLASSES = 20, 1000
"""Up to this many classes the confusion matrix is a table, a figure; with more the page lists what is confused."""
MAX_CLASS_ROWS = 100
BALANCED = 0.05
"""The balanced accuracy is stated if it differs from the accuracy by more than this."""


def evaluation_page(
    found: Evaluation, network: str, remarks: Sequence[str] = (), explainer: Explainer | None = None
) -> str:
    """Make the page's HTML, with the network's name as subtitle and further remarks at the top."""
    budget = Budget(1_500_000)
    notes = [
        *remarks,
        *imbalance_sentences(found),
        *_about_positive(found),
        *_frequent_confusion(found),
        calibration_sentence(found),
    ]
    if found.mirror_gain is not None:
        notes.insert(len(remarks), found.mirror_gain.sentence())
    sections = [
        *part("classes", "Classes", lambda: _class_table(found)),
        *part("confusion", "Confusion matrix", lambda: _confusion_matrix(found)),
        *_positive(found),
        *part("calibration", "Calibration", lambda: _calibration(found)),
        *_suspects(found, budget),
        *sections_of("mistakes", "Most confident mistakes", lambda: _mistakes(found)),
        *_explanations(found, explainer, budget),
        *corrupt_files(found.predictions.failures),
    ]
    return document(page_title(network), network, lead(accuracy_sentence(found), notes), sections)


def _about_positive(found: Evaluation) -> list[str]:
    return [] if found.binary is None else [positive_sentence(found.binary), *threshold_remark(found.binary)]


def _positive(found: Evaluation) -> list[Section]:
    if (binary := found.binary) is None:
        return []
    return part("positive", f"Positive class: {binary.positive}", lambda: binary_part(binary))


def _suspects(found: Evaluation, budget: Budget) -> list[Section]:
    if (suspects := found.suspects) is None:
        return []
    return part("suspects", "Labels that may be wrong", lambda: suspects_part(suspects, found.class_names, budget))


def _explanations(found: Evaluation, explainer: Explainer | None, budget: Budget) -> list[Section]:
    if explainer is None:
        return []
    return part("explanations", "Where the network looked", lambda: explanations_part(found, explainer, budget))


def accuracy_sentence(found: Evaluation) -> str:
    """State the accuracy, its confidence interval, and that of the simplest answer."""
    low, high = found.interval
    return (
        f"Accuracy {found.accuracy:.2%}: {found.correct_count:,} of {found.count:,} samples are classified correctly; "
        f"95% confidence interval (Wilson) {low:.2%} to {high:.2%}. The most common class, {found.baseline_class}, "
        f"would give {found.baseline:.2%}."
    )


def imbalance_sentences(found: Evaluation) -> list[str]:
    """Say where the accuracy hides something: classes that are never found, recalls that differ."""
    balanced = found.macro_means()["recall"]
    said = []
    if abs(balanced - found.accuracy) > BALANCED:
        said.append(f"Balanced accuracy (the mean of the classes' recalls): {balanced:.2%}.")
    missed = [score for score in found.class_scores if score.samples and not score.correct]
    for score in missed[:3]:
        of = f"the {score.samples:,} samples" if score.samples > 1 else "1 sample"
        said.append(f"None of {of} of {score.name} was found.")
    if len(missed) > 3:
        said.append(f"Further classes of which no sample was found: {len(missed) - 3:,}.")
    low, high = found.interval
    if low <= found.baseline <= high and found.accuracy < 1:
        said.append("This is no better than always answering with the most common class, within the interval.")
    return said


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
        f"ECE is {scaled.ece:.2%}"
    )
    worse = scaled.ece >= found.calibration.ece
    text += ": no better, so use the probabilities as they are." if worse else "."
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
    worst_first = sorted(found.class_scores, key=lambda score: (not score.samples, score.recall))
    rows: list[tuple[str, ...]] = [
        (score.name, f"{score.samples:,}", percent(score.precision), _recall(score), percent(score.f1))
        for score in worst_first[:MAX_CLASS_ROWS]
    ]
    rows.append(("mean over classes", "", *map(percent, found.macro_means().values())))
    left_out = f"The other {len(worst_first) - MAX_CLASS_ROWS:,} classes are in classes.csv. "
    explanation = note(
        f"The class with the lowest recall comes first. {left_out if len(worst_first) > MAX_CLASS_ROWS else ''}"
        "Precision: share of the predictions of this class that are correct. Recall: share of the samples of this "
        "class that are predicted as it, with Wilson's 95% interval. F1: their harmonic mean. –: not defined, because "
        "no sample is predicted as this class, or none belongs to it."
    )
    return table("Classes", ["class", "samples", "precision", "recall", "F1"], rows) + explanation


def _recall(score: ClassScore) -> str:
    if not score.samples:
        return percent(score.recall)
    low, high = wilson_interval(score.correct, score.samples)
    return f"{percent(score.recall)} ({low:.0%} to {high:.0%})"


def _confusion_matrix(found: Evaluation) -> str:
    names, matrix = found.class_names, ""
    if len(names) <= MAX_TABLE_CLASSES:
        matrix = _confusion_table(found)
    elif len(names) <= MAX_FIGURE_CLASSES:
        caption = "Each row is a true class: the share of its samples that is predicted as each class."
        matrix = captioned(confusion_figure(found.confusion.numpy()), "map", caption)
    confusions = [(true, predicted, f"{count:,}") for true, predicted, count in found.confusions()[:MAX_CONFUSIONS]]
    if not confusions:
        return matrix
    listed = table("Most frequent confusions", ["true class", "predicted class", "samples"], confusions)
    return f"{matrix}<h3>Most frequent confusions</h3>{listed}"


def _confusion_table(found: Evaluation) -> str:
    """Make the matrix as a table: blue is right, orange wrong, and a wrong count leads to images of it."""
    names, counts = found.class_names, found.confusion.tolist()
    shown = {_group(found, row) for row in shown_mistakes(found)} if found.predictions.load_image else set()
    totals = [max(1, sum(row)) for row in counts]
    worst = max((count / totals[true] for true, _, count in found.confused_pairs()), default=1.0)

    def cell(true: int, predicted: int) -> object:
        count, group = counts[true][predicted], f"{true}-{predicted}"
        share = count / totals[true]
        title = f"{names[true]} predicted as {names[predicted]}: {count:,} of {sum(counts[true]):,} ({percent(share)})"
        if not count:
            return Cell(f'<td class="zero" title="{escaped(title)}">0</td>')
        text = f'<a href="#group-{group}">{count:,}</a>' if group in shown else f"{count:,}"
        right = true == predicted
        return shaded(text, share if right else 0.7 * share / worst, escaped(title), FULL if right else ERRORS)

    rows = [(name, *(cell(true, predicted) for predicted in range(len(names)))) for true, name in enumerate(names)]
    explanation = note(
        "Blue is right, orange is wrong; the darker, the larger the share of the true class (orange: relative to the "
        "most frequent error). " + ("A linked count leads to the first of its images." if shown else "")
    )
    return f'<div class="matrix">{table("Confusion matrix", ["true ↓ predicted →", *names], rows)}</div>{explanation}'


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
    thumbnails = [
        Thumbnail(
            partial(load, row), ", ".join(_captions(found, row)), _captions(found, row), predictions.names[row],
            _group(found, row),
        )
        for row in shown_mistakes(found)
    ]  # fmt: skip
    images, count = gallery(thumbnails, Budget())
    text = note(
        f"{count:,} of {len(rows):,} mistakes, of each frequent confusion at least one, the most confident first."
    )
    return section("mistakes", title, text + _filter(found) + images)


def shown_mistakes(found: Evaluation) -> list[int]:
    """Choose the mistakes that the page shows: of each frequent confusion one, then the most confident."""
    rows = found.mistakes()
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(_group(found, row), row)
    frequent = [first[f"{true}-{predicted}"] for true, predicted, _ in found.confused_pairs()[: MAX_MISTAKES // 2]]
    chosen = set(dict.fromkeys([*frequent, *rows][: MAX_MISTAKES + len(frequent)]))
    return [row for row in rows if row in chosen][:MAX_MISTAKES]


def _group(found: Evaluation, row: int) -> str:
    return f"{int(found.predictions.targets[row])}-{int(found.predictions.classes[row])}"


def _filter(found: Evaluation) -> str:
    """Make buttons that show the mistakes of one true class only; the page has no scripts."""
    classes = sorted({int(found.predictions.targets[row]) for row in shown_mistakes(found)})
    if not 1 < len(classes) <= MAX_TABLE_CLASSES:
        return ""
    buttons = '<label><input type="radio" name="true" id="only-all" checked> all</label>'
    rules = ""
    for number in classes:
        name = escaped(found.class_names[number])
        buttons += f'<label><input type="radio" name="true" id="only-{number}"> {name}</label>'
        rules += f'section:has(#only-{number}:checked) li:not([data-group^="{number}-"]) {{ display: none; }}\n'
    return f'<style>{rules}</style><fieldset class="filter"><legend>True class</legend>{buttons}</fieldset>'


def _captions(found: Evaluation, row: int) -> tuple[str, str]:
    predicted = found.class_names[int(found.predictions.classes[row])]
    true = found.class_names[int(found.predictions.targets[row])]
    return f"{predicted} {probability_text(float(found.confidence[row]))}", f"true: {true}"
