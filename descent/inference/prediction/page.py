"""Predictions as a page: how many of each class, the least sure, and images of each class."""

from collections import defaultdict
from functools import partial

from descent.inference.prediction.prediction import Predictions
from descent.inference.thumbnails import Budget, Thumbnail, from_file, gallery
from foundation.html import details, document, note, section, table
from foundation.html.document import Section

SHOWN = 240
"""How many images a page shows of the classes together."""
GALLERIES = 60
"""How many classes have a gallery of their own: those with the most images."""
LEAST_SURE = 48
LISTED = 200


def prediction_page(predictions: Predictions, title: str, network: str) -> str:
    """The page's HTML.

    Args:
        predictions: What came of the files.
        title: Of the page.
        network: Which one answered.
    """
    groups = _groups(predictions)
    budget = Budget()
    total = len(predictions.paths)
    sections = [section("classes", "How many of each", _counts(predictions, groups))]
    if total > LEAST_SURE:
        shown, count = gallery((_image(predictions, row) for row in _least_sure(predictions)), budget)
        said = note(f"The {count} with the smallest probability of their answer, least sure first.")
        sections.append(section("least-sure", "Least sure", said + shown))
    sections += _galleries(predictions, groups, budget)
    if predictions.failures:
        sections.append(section("corrupt", "Not decoded", _failures(predictions.failures)))
    if len(groups) > GALLERIES:
        sections.append(section("others", "Other classes", note(f"Shown are the {GALLERIES} with the most images.")))
    corrupt = f", {len(predictions.failures):,} could not be decoded" if predictions.failures else ""
    lead = note("predictions.csv holds every image with its probability and the runner-up.")
    return document(title, f"{_images(total)}{corrupt}; {network}", lead, sections)


def _groups(predictions: Predictions) -> dict[str, list[int]]:
    """Rows by what they show, the surest first."""
    groups: dict[str, list[int]] = defaultdict(list)
    sure = predictions.answers.probability[:, 0]
    for row in sure.argsort(descending=True, stable=True).tolist():
        for name in _answers(predictions, row):
            groups[name].append(row)
    return {name: groups[name] for name in [*predictions.class_names, "no label"] if groups[name]}


def _answers(predictions: Predictions, row: int) -> list[str]:
    names, labels = predictions.class_names, predictions.answers.labels
    if labels is None:
        return [names[int(predictions.answers.choice[row, 0])]]
    return [name for name, applies in zip(names, labels[row].tolist(), strict=True) if applies] or ["no label"]


def _counts(predictions: Predictions, groups: dict[str, list[int]]) -> str:
    total = len(predictions.paths)
    rows = [(name, f"{len(rows):,}", f"{len(rows) / total:.1%}") for name, rows in groups.items()]
    return table("Images of each class", ["answer", "images", "share"], rows)


def _least_sure(predictions: Predictions) -> list[int]:
    answers = predictions.answers
    doubt = answers.probability[:, 0] if answers.every is None else (answers.every - 0.5).abs().min(dim=1).values
    rows: list[int] = doubt.argsort(stable=True)[:LEAST_SURE].tolist()
    return rows


def _galleries(predictions: Predictions, groups: dict[str, list[int]], budget: Budget) -> list[Section]:
    """Each class with its share of the room; of more images than that, some from the surest to the least sure."""
    most = set(sorted(groups, key=lambda name: -len(groups[name]))[:GALLERIES])
    room = max(1, SHOWN // len(most))
    sections = []
    for number, (name, rows) in enumerate((name, rows) for name, rows in groups.items() if name in most):
        chosen = spread(rows, room)
        shown, count = gallery((_image(predictions, row) for row in chosen), budget)
        said = f"{count:,} of {len(rows):,} images" if count < len(rows) else _images(count)
        evenly = ", evenly from the surest to the least sure" if count < len(rows) else ", the surest first"
        sections.append(section(f"class-{number}", name, note(said + evenly + ".") + shown))
    return sections


def spread(rows: list[int], count: int) -> list[int]:
    """At most ``count`` of the rows, evenly, the first and the last among them.

    Example:
        >>> spread([10, 11, 12, 13, 14], 3), spread([1, 2], 3)
        ([10, 12, 14], [1, 2])
    """
    if len(rows) <= count:
        return rows
    return [rows[round(place * (len(rows) - 1) / max(1, count - 1))] for place in range(count)]


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count:,} images"


def _image(predictions: Predictions, row: int) -> Thumbnail:
    path, answers = predictions.paths[row], predictions.answers
    names = predictions.class_names
    choice, values = answers.choice[row].tolist(), answers.probability[row].tolist()
    said = " + ".join(_answers(predictions, row))
    if answers.labels is None:
        lines = (f"{said} {_percent(values[0])}", f"{names[choice[1]]} {_percent(values[1])}")
    else:  # the most probable label stands there also where none applies
        lines = (said, f"{names[choice[0]]} {_percent(values[0])}")
    return Thumbnail(partial(from_file, path), f"{path}: {lines[0]}", lines, "/".join(path.split("/")[-2:]))


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 0.9995 else "> 99.9%"


def _failures(failures: dict[str, str]) -> str:
    listed = "\n".join(f"{path}: {said}" for path, said in list(failures.items())[:LISTED])
    more = f"\n… and {len(failures) - LISTED:,} more: corrupt.csv" if len(failures) > LISTED else ""
    return details(f"{len(failures):,} files", listed + more)
