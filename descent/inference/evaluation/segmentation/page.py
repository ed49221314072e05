"""The page of a segmentation: IoU and Dice of each class, confusions, and masks side by side."""

from collections.abc import Sequence

import numpy as np

from descent.inference.evaluation.page_parts import first_of, lead, page_title, part, with_interval
from descent.inference.evaluation.segmentation.evaluation import SegmentationEvaluation
from descent.inference.evaluation.segmentation.masks import UNLABELLED, palette, strip
from descent.inference.evaluation.strips import SIDE
from descent.inference.page_elements import Budget, percent, shown_image, small_percent
from foundation.html import document, note, table
from foundation.html.elements import ERRORS, FULL, Cell, escaped, shaded

MAX_MATRIX = 20
MAX_CONFUSIONS = 15
MAX_CLASS_ROWS = 200
WORST_IMAGES, TYPICAL_IMAGES = 16, 8
PARTS = ("image", "truth", "prediction", "wrong pixels")


def segmentation_page(found: SegmentationEvaluation, network: str, remarks: Sequence[str] = ()) -> str:
    """Make the page's HTML."""
    budget = Budget()
    order = found.ordered()
    middle = max(0, len(order) // 2 - TYPICAL_IMAGES // 2)
    shown = {"worst": order[:WORST_IMAGES], "typical": order[max(middle, WORST_IMAGES) :][:TYPICAL_IMAGES]}
    sections = [
        *part("classes", "Classes", lambda: _class_table(found)),
        *part("confusion", "Confusions", lambda: _confusions(found)),
        *part("worst", "Lowest IoU", lambda: _strips(found, shown["worst"], budget, "The images with the lowest")),
    ]
    if shown["typical"]:
        text = "Images in the middle of all, ordered by"
        sections += part("typical", "Typical images", lambda: _strips(found, shown["typical"], budget, text))
    notes = [*remarks, *segmentation_remarks(found)]
    return document(page_title(network), network, lead(iou_sentence(found), notes), sections)


def iou_sentence(found: SegmentationEvaluation) -> str:
    """State mean IoU, mean Dice and pixel accuracy with their intervals, and those of the simplest answer."""
    count = len(found.targets)
    of_positive = ""
    if found.positive is not None:
        score = next(score for score in found.class_scores if score.name == found.positive)
        of_positive = f"; of the positive class, {score.name}, {with_interval(score.iou, score.iou_interval)}"
    return (
        f"Mean IoU {with_interval(*found.mean_iou, '95% confidence interval ')}{of_positive}. Mean Dice "
        f"{with_interval(*found.mean_dice)}, pixel accuracy {with_interval(*found.accuracy)}, over {count:,} "
        f"image{'s' * (count != 1)}. Always answering with the most common class, {found.baseline_class}, would give "
        f"a mean IoU of {percent(found.baseline_iou)} and a pixel accuracy of {percent(found.baseline)}."
    )


def segmentation_remarks(found: SegmentationEvaluation) -> list[str]:
    """Say where the numbers hide something: classes that are never found, pixels that are left out."""
    said = []
    if found.accuracy[0] <= found.baseline:
        said.append("The pixel accuracy is no better than that of always answering with the most common class.")
    elif found.accuracy[1][0] <= found.baseline:
        said.append("Within its interval, the pixel accuracy is no better than that of the most common class.")
    missed = [score.name for score in found.class_scores if score.pixels and not score.correct]
    if missed:
        said.append(f"Not one pixel was found of: {first_of(missed)}.")
    absent = [score.name for score in found.class_scores if not score.pixels]
    if absent:
        said.append(f"No labelled pixel belongs to: {first_of(absent)}.")
    if found.ignored_share:
        left_out = small_percent(found.ignored_share)
        said.append(f"Pixels without a label (class {found.ignored}), left out of all numbers: {left_out}.")
    return said


def _class_table(found: SegmentationEvaluation) -> str:
    worst_first = sorted(found.class_scores, key=lambda score: (not score.pixels, score.iou))
    colors = dict(zip(found.class_names, palette(len(found.class_names)), strict=True))
    rows = [
        (
            _name_cell(score.name, colors[score.name]), percent(score.pixels / found.labelled),
            with_interval(score.iou, score.iou_interval), with_interval(score.dice, score.dice_interval),
            percent(score.precision), percent(score.recall),
        )
        for score in worst_first[:MAX_CLASS_ROWS]
    ]  # fmt: skip
    means = with_interval(*found.mean_iou), with_interval(*found.mean_dice)
    rows.append((Cell('<th scope="row">mean of the classes</th>'), "", *means, "", ""))
    explanation = note(
        "The class with the lowest IoU comes first. IoU: pixels that are right, over pixels that are of this class or "
        "predicted as it. Dice: twice the pixels that are right, over the sum of both. Precision: share of the pixels "
        "predicted as this class that are right. Recall: share of its pixels that are found. All over the pixels of "
        "all images together; the 95% intervals are percentiles of 2,000 bootstrap samples of the images."
    )
    head = ["class", "share of pixels", "IoU", "Dice", "precision", "recall"]
    return table("Classes", head, rows) + explanation


def _name_cell(name: str, color: tuple[int, int, int]) -> Cell:
    return Cell(f'<th scope="row">{_swatch(color)}{escaped(name)}</th>')


def _swatch(color: tuple[int, int, int]) -> str:
    red, green, blue = color
    return f'<span class="swatch" style="background:rgb({red},{green},{blue})"></span>'


def _confusions(found: SegmentationEvaluation) -> str:
    matrix = _matrix(found) if len(found.class_names) <= MAX_MATRIX else ""
    rows = [
        (true, predicted, f"{count:,}", percent(share))
        for true, predicted, count, share in found.confusions()[:MAX_CONFUSIONS]
    ]
    if not rows:
        return f"{matrix}<p>No pixel is wrong.</p>"
    head = ["true class", "predicted class", "pixels", "of the true class"]
    return f"{matrix}<h3>Most frequent confusions</h3>{table('Most frequent confusions', head, rows)}"


def _matrix(found: SegmentationEvaluation) -> str:
    names, counts = found.class_names, found.confusion
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    worst = max(float((shares * (1 - np.eye(len(names)))).max()), 1e-9)

    def cell(true: int, predicted: int) -> Cell:
        share, count = float(shares[true, predicted]), int(counts[true, predicted])
        told = f"{names[true]} predicted as {names[predicted]}: {count:,} pixels"
        if not count:
            return Cell(f'<td class="zero" title="{escaped(told)}">0</td>')
        right = true == predicted
        text = escaped(small_percent(share))
        return shaded(text, share if right else 0.7 * share / worst, escaped(told), FULL if right else ERRORS)

    rows = [(name, *(cell(true, predicted) for predicted in range(len(names)))) for true, name in enumerate(names)]
    explanation = note(
        "Each row is a true class: the shares of its pixels that are predicted as each class. Blue is right, orange is "
        "wrong; the darker, the larger the share (orange: relative to the most frequent error)."
    )
    return f'<div class="matrix">{table("Confusions", ["true ↓ predicted →", *names], rows)}</div>{explanation}'


def _strips(found: SegmentationEvaluation, rows: list[int], budget: Budget, text: str) -> str:
    load, ious, accuracies = found.samples.load_image, found.image_ious(), found.image_accuracies()
    items = []
    for row in rows:
        image = None if load is None else load(row)
        joined = strip(image, found.targets[row], found.predicted[row], len(found.class_names), found.ignored)
        name = found.samples.names[row]
        said = f"mean IoU {percent(float(ious[row]))}, {percent(float(accuracies[row]))} of the pixels right"
        source = shown_image(joined, budget, f"{name}: {', '.join(PARTS[load is None :])}; {said}", "PNG")
        if not source:
            break
        items.append(f"<li>{source}<strong>{escaped(name)}</strong><br>{said}</li>")
    count = 3 + (load is not None)
    width = f"{count * SIDE + 12}px"
    columns = f"From left to right: {', '.join(PARTS[4 - count :])}."
    explanation = note(f"{text} mean IoU of the classes in them. {columns}")
    return f'{explanation}{_legend(found)}<ul class="strips" style="--strip:{width}">{"".join(items)}</ul>'


def _legend(found: SegmentationEvaluation) -> str:
    named = list(zip(found.class_names, palette(len(found.class_names)), strict=True))[:30]
    if found.ignored_share:
        named.append(("without a label", UNLABELLED))
    return f'<ul class="legend">{"".join(f"<li>{_swatch(color)}{escaped(name)}</li>" for name, color in named)}</ul>'
