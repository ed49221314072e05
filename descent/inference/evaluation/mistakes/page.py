"""The parts of a page that explain mistakes: labels that are probably wrong, and where the network looked."""

from functools import partial
from typing import Any

from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.mistakes.explanations import Explainer
from descent.inference.evaluation.mistakes.grad_cam import NotExplainedError
from descent.inference.evaluation.samples.label_errors import LabelledSet, Suspect, Suspects
from descent.inference.evaluation.strips import SIDE
from descent.inference.page_elements import (
    Budget,
    Thumbnail,
    gallery,
    linked,
    probability_text,
    shown_image,
    small_percent,
)
from foundation.html import note, table
from foundation.html.elements import escaped

MAX_SUSPECTS = 48
MAX_EXPLAINED = 12


def suspects_sentence(found: Suspects) -> str:
    """Say how many labels are probably wrong."""
    count = len(found.found)
    if not count:
        return f"None of the {found.samples:,} labels is suspected to be wrong."
    return (
        f"Labels that may be wrong, because the network confidently disagrees: {count:,} of {found.samples:,}; "
        "suspected_labels.csv lists them, the clearest first."
    )


def suspects_part(found: Suspects, class_names: list[str], budget: Budget) -> str:
    """Return the HTML of the samples whose label is probably wrong, the clearest first."""
    if not found.found:
        return f"<p>{escaped(suspects_sentence(found))}</p>"
    shown = found.found[:MAX_SUSPECTS]
    sets = ", ".join(dict.fromkeys(part.name for part, _ in found.found))
    explanation = note(
        f"{len(shown):,} of {len(found.found):,}, out of {found.samples:,} samples ({sets}). A label is suspected "
        "where another class is more probable, and at least as probable as it is on average for the samples labelled "
        "with it (confident learning). Some are mistakes of the network: look at each before you change a label. A "
        "wrong label that the network was trained on may have been learned by heart, and is then not found."
    )
    if any(part.samples.load_image is None for part, _ in shown):
        rows = [(part.samples.names[suspect.row], *_lines(suspect, class_names)) for part, suspect in shown]
        return explanation + table("Labels that may be wrong", ["sample", "suggested", "given"], rows, left=True)
    return explanation + gallery([_thumbnail(part, suspect, class_names) for part, suspect in shown], budget)[0]


def _lines(suspect: Suspect, names: list[str]) -> tuple[str, str]:
    return (
        f"{names[suspect.suggested]} {probability_text(suspect.probability_of_suggested)}",
        f"labelled {names[suspect.given]} {small_percent(suspect.probability_of_given)}",
    )


def _thumbnail(part: LabelledSet, suspect: Suspect, names: list[str]) -> Thumbnail:
    lines = _lines(suspect, names)
    load: Any = part.samples.load_image
    return Thumbnail(partial(load, suspect.row), ", ".join(lines), lines, part.samples.names[suspect.row])


def explanations_part(found: Evaluation, explainer: Explainer, budget: Budget) -> str:
    """Return the HTML of the most confident mistakes with Grad-CAM, or the reason why there is none."""
    rows, names = found.mistakes()[:MAX_EXPLAINED], found.class_names
    if not rows:
        return "<p>There are no mistakes.</p>"
    pairs = [(int(found.predictions.classes[row]), int(found.predictions.targets[row])) for row in rows]
    try:
        strips = explainer.strips(rows, pairs)
    except NotExplainedError as reason:
        return note(f"Grad-CAM is left out: {reason}.")
    items = []
    for row, (predicted, true), strip in zip(rows, pairs, strips, strict=True):
        said = f"{names[predicted]} {probability_text(float(found.confidence[row]))}, true: {names[true]}"
        name = found.predictions.names[row]
        source = shown_image(
            strip, budget, f"{name}: image, evidence for {names[predicted]}, evidence for {names[true]}"
        )
        if source:
            file = f'<div class="file">{linked(name)}</div>'
            items.append(f"<li>{source}<strong>{escaped(said)}</strong>{file}</li>")
    explanation = note(
        "From left to right: the image as the network gets it, the evidence for the predicted class, and for the true "
        "class. Grad-CAM: yellow is where the last convolution's activations raise the class' score most, blue where "
        "they do not; each map is scaled to its own maximum, so that colours of two maps cannot be compared."
    )
    return f'{explanation}<ul class="strips" style="--strip:{3 * SIDE + 8}px">{"".join(items)}</ul>'
