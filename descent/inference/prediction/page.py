"""The prediction page: images per class, the least confident predictions, and a gallery of each class."""

from functools import partial

import numpy as np
import torch

from descent.inference.page_elements import (
    Budget,
    Thumbnail,
    corrupt_files,
    gallery,
    load_image,
    percent,
    probability_text,
)
from descent.inference.prediction.prediction import FilePredictions
from foundation.html import document, note, section, table
from foundation.html.document import Section
from foundation.html.page_file import sections_of

MAX_IMAGES = 240
"""How many images the galleries of the classes show together."""
MAX_GALLERIES = 60
"""How many classes have a gallery; those with the most images come first."""
LEAST_CONFIDENT, LEAST_CONFIDENT_TITLE = 48, "Least confident predictions"
NO_LABEL = "no label"


def prediction_page(found: FilePredictions, network: str) -> str:
    """Make the page's HTML, with the network's name in the subtitle."""
    groups = _groups(found)
    budget = Budget()
    total = len(found.paths)
    counts = [(name, f"{len(rows):,}", percent(len(rows) / total)) for name, rows in groups.items()]
    heading = "Images per class"
    sections = [section("classes", heading, table(heading, ["predicted", "images", "share"], counts))]
    if total > LEAST_CONFIDENT:
        sections += sections_of("least-confident", LEAST_CONFIDENT_TITLE, lambda: _least_confident(found, budget))
    sections += sections_of("galleries", "Images of each class", lambda: _galleries(found, groups, budget))
    sections += corrupt_files(found.failures)
    if len(groups) > MAX_GALLERIES:
        text = f"Only the {MAX_GALLERIES} classes with the most images have a gallery."
        sections.append(section("others", "Other classes", note(text)))
    corrupt = f", {len(found.failures):,} could not be decoded" if found.failures else ""
    lead = note("predictions.csv lists every image with its predictions and their probabilities.")
    return document("Predictions", f"{_images(total)}{corrupt}; {network}", lead, sections)


def _groups(found: FilePredictions) -> dict[str, list[int]]:
    """Return the rows of each predicted class or label, the most probable first."""
    predictions = found.predictions
    groups: dict[str, list[int]] = {}
    for number, name in enumerate(found.class_names):
        if predictions.labels is None or predictions.label_probabilities is None:
            applies, probabilities = predictions.classes[:, 0] == number, predictions.probabilities[:, 0]
        else:
            applies, probabilities = predictions.labels[:, number], predictions.label_probabilities[:, number]
        groups[name] = _ordered(applies, probabilities)
    if predictions.labels is not None:
        groups[NO_LABEL] = _ordered(~predictions.labels.any(dim=1), -predictions.probabilities[:, 0])
    return {name: rows for name, rows in groups.items() if rows}


def _ordered(selected: torch.Tensor, values: torch.Tensor) -> list[int]:
    rows = selected.nonzero().flatten()
    ordered: list[int] = rows[values[rows].argsort(descending=True, stable=True)].tolist()
    return ordered


def _least_confident(found: FilePredictions, budget: Budget) -> Section:
    predictions = found.predictions
    if predictions.label_probabilities is None:
        confidence, reason = predictions.probabilities[:, 0], "predicted class has the lowest probability"
    else:
        confidence = (predictions.label_probabilities - 0.5).abs().min(dim=1).values
        reason = "labels include one with a probability closest to 50%"
    rows = confidence.argsort(stable=True)[:LEAST_CONFIDENT].tolist()
    images, count = gallery((_thumbnail(found, row) for row in rows), budget)
    text = note(f"The {_images(count)} whose {reason}, least confident first.")
    return section("least-confident", LEAST_CONFIDENT_TITLE, text + images)


def _galleries(found: FilePredictions, groups: dict[str, list[int]], budget: Budget) -> list[Section]:
    """Make a gallery of each class; of a class with many images, show some from most to least probable."""
    largest = set(sorted(groups, key=lambda name: -len(groups[name]))[:MAX_GALLERIES])
    limit = max(1, MAX_IMAGES // len(largest))
    sections = []
    for number, name in enumerate(name for name in groups if name in largest):
        rows = groups[name]
        chosen = spread(rows, limit)
        images, count = gallery((_thumbnail(found, row) for row in chosen), budget)
        shown = f"{count:,} of {_images(len(rows))}, evenly spaced" if count < len(rows) else f"{_images(count)},"
        cut = " The page's size limit left out the last of them." if count < len(chosen) else ""
        text = note(f"{shown} from most to least confident.{cut}")
        sections.append(section(f"class-{number}", name, text + images))
    return sections


def spread(rows: list[int], count: int) -> list[int]:
    """Choose at most ``count`` of the rows, evenly spaced, including the first and the last.

    Example:
        >>> spread([10, 11, 12, 13, 14], 3), spread([1, 2], 3)
        ([10, 12, 14], [1, 2])
    """
    return [rows[place] for place in np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _thumbnail(found: FilePredictions, row: int) -> Thumbnail:
    path, predictions, names = found.paths[row], found.predictions, found.class_names
    classes, probabilities = predictions.classes[row].tolist(), predictions.probabilities[row].tolist()
    top = [f"{names[k]} {probability_text(p)}" for k, p in zip(classes, probabilities, strict=True)]
    if predictions.labels is None:
        lines = tuple(top)
    else:  # the most probable label is shown even if no label applies
        labels = [name for name, applies in zip(names, predictions.labels[row].tolist(), strict=True) if applies]
        lines = (" + ".join(labels) or NO_LABEL, top[0])
    return Thumbnail(partial(load_image, path), f"{path}: {lines[0]}", lines, path)
