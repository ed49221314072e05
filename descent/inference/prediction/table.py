"""Write predictions and lists of corrupt files as CSV."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from descent.inference.page_elements import probability_text
from descent.inference.prediction.prediction import FilePredictions
from foundation.files import replacing


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically; file names that are not valid UTF-8 keep their bytes."""
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_table(found: FilePredictions, file: Path) -> None:
    """Write one row per image: `path`, `class`, `probability`, `runner_up`, `runner_up_probability`.

    A multi-label classifier: `path`, `labels` (those that apply, joined by `; `), `probability_<label>` of each label.
    """
    if found.predictions.labels is None:
        columns = ["class", "probability", "runner_up", "runner_up_probability"]
        write_csv(file, ["path", *columns], _single_label_rows(found))
    else:
        columns = [f"probability_{name}" for name in found.class_names]
        write_csv(file, ["path", "labels", *columns], _multilabel_rows(found))


def write_failures(failures: dict[str, str], file: Path) -> None:
    """Write `path` and `reason` of the corrupt files; if there are none, delete the file of an earlier call."""
    if failures:
        write_csv(file, ["path", "reason"], failures.items())
    else:
        file.unlink(missing_ok=True)


def answer_lines(found: FilePredictions) -> list[str]:
    """Return a line for each image: its path, the predicted class (or labels) and their probabilities."""
    width = max(map(len, found.paths))
    return [f"{path:<{width}}  {_answer(found, row)}" for row, path in enumerate(found.paths)]


def _answer(found: FilePredictions, row: int) -> str:
    predictions, names = found.predictions, found.class_names
    pairs = zip(predictions.classes[row].tolist(), predictions.probabilities[row].tolist(), strict=True)
    top = [f"{names[number]} {probability_text(probability)}" for number, probability in pairs]
    if predictions.labels is None:
        return f"{top[0]}  (then {top[1]})" if len(top) > 1 else top[0]
    applies = [name for name, holds in zip(names, predictions.labels[row].tolist(), strict=True) if holds]
    return f"{', '.join(applies) or 'no label applies'}  (most probable: {top[0]})"


def _single_label_rows(found: FilePredictions) -> Iterator[list[str]]:
    names, predictions = found.class_names, found.predictions
    columns = found.paths, predictions.classes.tolist(), predictions.probabilities.tolist()
    for path, (first, second), (probability, second_probability) in zip(*columns, strict=True):
        yield [path, names[first], f"{probability:.6f}", names[second], f"{second_probability:.6f}"]


def _multilabel_rows(found: FilePredictions) -> Iterator[list[str]]:
    labels, probabilities = found.predictions.labels, found.predictions.label_probabilities
    assert labels is not None
    assert probabilities is not None
    for path, applies, values in zip(found.paths, labels.tolist(), probabilities.tolist(), strict=True):
        names = [name for name, applies_here in zip(found.class_names, applies, strict=True) if applies_here]
        yield [path, "; ".join(names), *(f"{value:.6f}" for value in values)]
