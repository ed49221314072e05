"""An evaluation as a page: accuracy, classes, confusions, calibration, and the mistakes one should look at."""

from collections.abc import Sequence

from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.figures import confusion_map, reliability_diagram
from descent.inference.thumbnails import Budget, Thumbnail, gallery
from foundation.html import details, document, note, section, table
from foundation.html.document import Section
from foundation.html.elements import escaped, shaded
from foundation.html.svg import captioned

MISTAKES = 60
LISTED = 10
AS_A_TABLE = 20
"""Up to so many classes the confusion matrix is a table, then an image."""


def evaluation_page(found: Evaluation, title: str, network: str, remarks: Sequence[str] = ()) -> str:
    """The page's HTML.

    Args:
        found: What was measured.
        title: Of the page.
        network: Which one was measured.
        remarks: What else a reader must know.
    """
    notes = [*remarks, *_about_confusions(found), calibration_remark(found)]
    lead = f'<p class="verdict" id="verdict">{escaped(verdict(found))}</p>'
    lead += f'<ul class="remarks">{"".join(f"<li>{escaped(text)}</li>" for text in notes)}</ul>'
    sections = [
        section("classes", "Classes", _classes(found)),
        section("confusion", "Confusion matrix", _confusion(found)),
        section("calibration", "Calibration", _calibration(found)),
        _mistakes(found),
    ]
    if found.outputs.failures:
        text = "\n".join(f"{path}: {said}" for path, said in list(found.outputs.failures.items())[:200])
        sections.append(section("corrupt", "Not decoded", details(f"{len(found.outputs.failures):,} files", text)))
    return document(title, network, lead, sections)


def verdict(found: Evaluation) -> str:
    """Accuracy and its interval in a sentence."""
    low, high = found.interval
    return (
        f"{found.accuracy:.2%} of {found.count:,} right, between {low:.2%} and {high:.2%} with 95 % confidence "
        "(Wilson's interval)."
    )


def calibration_remark(found: Evaluation) -> str:
    """Whether probabilities can be believed, in a sentence or two."""
    says = float(found.probability.mean())
    text = f"Its answers have a probability of {says:.1%} on average; calibration error (ECE) {found.before.error:.2%}."
    if found.temperature is None or found.after is None:
        return text
    fitted = (
        f"A temperature of {found.temperature.value:.3f}, fitted on {found.temperature.samples:,} validation samples,"
    )
    edge = (
        " It lies at the edge of the range: there are too few mistakes to fit it."
        if found.temperature.at_the_edge
        else ""
    )
    return f"{text} {fitted} makes it {found.after.error:.2%}.{edge}"


def _about_confusions(found: Evaluation) -> list[str]:
    first = found.confusions()[:1]
    return [f"Most often, {true} is taken for {said}: {count:,} times." for count, true, said in first]


def _classes(found: Evaluation) -> str:
    rows = [
        (score.name, f"{score.samples:,}", *(_percent(v) for v in (score.precision, score.recall, score.f1)))
        for score in found.classes
    ]
    summary = found.summary()
    means = (_percent(summary[f"{name}_macro"]) for name in ("precision", "recall", "f1"))
    rows.append(("mean of the classes", f"{found.count:,}", *means))
    said = note(
        "Precision: how often the answer is right when it is this class. Recall: how many of this class are found. "
        "F1: their harmonic mean. –: not defined, as there are none."
    )
    return table("Classes", ["class", "samples", "precision", "recall", "F1"], rows) + said


def _confusion(found: Evaluation) -> str:
    counts = found.confusion
    if len(found.class_names) > AS_A_TABLE:
        matrix = captioned(
            confusion_map(counts.numpy()), "map", "Each row is a true class: what its samples are taken for."
        )
    else:
        totals = counts.sum(1).tolist()
        rows = [
            (name, *(_cell(int(count), total, name, said) for count, said in zip(row, found.class_names, strict=True)))
            for name, row, total in zip(found.class_names, counts.tolist(), totals, strict=True)
        ]
        matrix = table("Confusion matrix", ["true class ↓ answer →", *found.class_names], rows)
    often = found.confusions()[:LISTED]
    if not often:
        return matrix
    listed = table(
        "Most frequent confusions", ["true class", "answer", "times"], [(t, s, f"{n:,}") for n, t, s in often]
    )
    return f"{matrix}<h3>Most frequent confusions</h3>{listed}"


def _cell(count: int, total: int, true: str, said: str) -> object:
    share = count / total if total else 0.0
    return shaded(f"{count:,}", share, escaped(f"{true} taken for {said}: {count:,} of {total:,} ({share:.1%})"))


def _calibration(found: Evaluation) -> str:
    shown = captioned(reliability_diagram(found.before), "before", f"As trained: ECE {found.before.error:.2%}.")
    if found.after is not None and found.temperature is not None:
        caption = f"At temperature {found.temperature.value:.3f}: ECE {found.after.error:.2%}."
        shown += captioned(reliability_diagram(found.after), "after", caption)
    said = note(
        "Bars on the dashed line: of answers with a probability of 80 %, 80 % are right. Bars above it: better than "
        "it says; below: too sure of itself. ECE: mean distance from the line, over 15 bins."
    )
    return f'<div class="figures">{shown}</div>{said}'


def _mistakes(found: Evaluation) -> Section:
    places = found.mistakes()
    outputs = found.outputs
    if not places:
        return section("mistakes", "Mistakes", "<p>None.</p>")
    load = outputs.image
    if load is None:
        rows = [(outputs.names[p], *_truth(found, p)) for p in places[:MISTAKES]]
        body = table("Surest mistakes", ["sample", "answer", "true class"], rows, left=True)
        return section("mistakes", "Surest mistakes", body)
    images = (
        Thumbnail(load(place), ", ".join(_truth(found, place)), _truth(found, place), _short(outputs.names[place]))
        for place in places[:MISTAKES]
    )
    shown, count = gallery(images, Budget())
    return section(
        "mistakes", "Surest mistakes", note(f"{count:,} of {len(places):,} mistakes, the surest first.") + shown
    )


def _truth(found: Evaluation, place: int) -> tuple[str, str]:
    said = found.class_names[int(found.outputs.choices[place])]
    true = found.class_names[int(found.outputs.targets[place])]
    return f"{said} {float(found.probability[place]):.1%}", f"is {true}"


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
