"""Write predictions and lists of corrupt files as CSV, predictions also as JSON."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from descent.inference.page_elements import probability_text
from descent.inference.prediction.prediction import FilePredictions
from foundation.files import replacing, strict_json

DIGITS = 6
MOST_CLASSES = 10
"""Classes whose number of answers is printed."""


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file atomically; file names that are not valid UTF-8 keep their bytes."""
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_table(found: FilePredictions, file: Path) -> None:
    """Write one row per image: `path`, `class`, `probability`, `runner_up`, `runner_up_probability`.

    If the number of classes was asked for, `class_2`, `probability_2`, `class_3`, … take the place of the runner-up. If
    all probabilities were asked for, `probability_of_<class>` follows for each class. A multi-label classifier: `path`,
    `labels` (those that apply, joined by `; `), `probability_<label>` of each label.
    """
    multilabel = found.predictions.labels is not None
    prefix = "probability_" if multilabel else "probability_of_"
    every = [f"{prefix}{name}" for name in found.class_names] if _every(found) is not None else []
    answer = ["labels"] if multilabel else _answer_columns(found)
    write_csv(file, ["path", *answer, *every], _rows(found))


def json_text(found: FilePredictions, about: dict[str, Any]) -> str:
    """Return predictions as JSON; a file name that is not valid UTF-8 is escaped as Python's `json` reads it.

    Args:
        found: The predictions.
        about: What precedes them.
    """
    content = {
        **about,
        "class_names": found.class_names,
        "predictions": list(_records(found)),
        "not_decoded": found.failures,
    }
    return strict_json(content).encode("utf-8", "backslashreplace").decode() + "\n"


def write_failures(failures: dict[str, str], file: Path) -> None:
    """Write `path` and `reason` of the corrupt files; if there are none, delete the file of an earlier call."""
    if failures:
        write_csv(file, ["path", "reason"], failures.items())
    else:
        file.unlink(missing_ok=True)


def answer_lines(found: FilePredictions) -> list[str]:
    """Return a line for each image: its path, the predicted class (or labels) and their probabilities."""
    width = max(map(len, found.paths))
    lines = (f"{path:<{width}}  {_answer(found, row)}" for row, path in enumerate(found.paths))
    return [line.encode("utf-8", "backslashreplace").decode() for line in lines]


def count_lines(found: FilePredictions) -> list[str]:
    """Return how many images were classified, and how often each class was the answer, the most frequent first."""
    total = len(found.paths)
    lines = [f"{total:,} {'image' if total == 1 else 'images'} classified"]
    if found.predictions.labels is None and total > 1:
        answers = Counter(found.class_names[number] for number in found.predictions.classes[:, 0].tolist())
        counted = ", ".join(f"{name} {count:,}" for name, count in answers.most_common(MOST_CLASSES))
        more = f", … ({len(answers) - MOST_CLASSES} more)" if len(answers) > MOST_CLASSES else ""
        lines.append(f"answers     {counted}{more}")
    return lines


def _answer(found: FilePredictions, row: int) -> str:
    predictions, names = found.predictions, found.class_names
    pairs = zip(predictions.classes[row].tolist(), predictions.probabilities[row].tolist(), strict=True)
    top = [f"{names[number]} {probability_text(probability)}" for number, probability in pairs]
    if predictions.labels is None:
        return f"{top[0]}  (then {', '.join(top[1:])})" if len(top) > 1 else top[0]
    every = predictions.label_probabilities
    assert every is not None
    applies = [
        f"{name} {probability_text(probability)}"
        for name, holds, probability in zip(names, predictions.labels[row].tolist(), every[row].tolist(), strict=True)
        if holds
    ]
    return ", ".join(applies) or f"no label applies  (most probable: {top[0]})"


def _answer_columns(found: FilePredictions) -> list[str]:
    """Return the names of the columns of the classes and their probabilities."""
    count = found.predictions.classes.shape[1]
    others = [(f"class_{place}", f"probability_{place}") for place in range(2, count + 1)]
    if not found.numbered and count == 2:
        others = [("runner_up", "runner_up_probability")]
    return [name for pair in [("class", "probability"), *others] for name in pair]


def _every(found: FilePredictions) -> Any:
    """Return the probabilities of all classes or labels, if they are known."""
    predictions = found.predictions
    return predictions.class_probabilities if predictions.labels is None else predictions.label_probabilities


def _answers(found: FilePredictions) -> Iterator[list[Any]]:
    """Yield the predicted classes and probabilities of each image in turns, or the list of its labels."""
    names, predictions = found.class_names, found.predictions
    if predictions.labels is not None:
        for applies in predictions.labels.tolist():
            yield [[name for name, holds in zip(names, applies, strict=True) if holds]]
        return
    for classes, probabilities in zip(predictions.classes.tolist(), predictions.probabilities.tolist(), strict=True):
        pairs = zip(classes, probabilities, strict=True)
        yield [value for number, probability in pairs for value in (names[number], probability)]


def _rows(found: FilePredictions) -> Iterator[list[str]]:
    every = _every(found)
    for row, (path, answer) in enumerate(zip(found.paths, _answers(found), strict=True)):
        values = [*answer, *([] if every is None else every[row].tolist())]
        yield [path, *(_cell(value) for value in values)]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.{DIGITS}f}"
    return "; ".join(value) if isinstance(value, list) else str(value)


def _records(found: FilePredictions) -> Iterator[dict[str, Any]]:
    columns = ["labels"] if found.predictions.labels is not None else _answer_columns(found)
    every = _every(found)
    for row, (path, answer) in enumerate(zip(found.paths, _answers(found), strict=True)):
        values = [round(value, DIGITS) if isinstance(value, float) else value for value in answer]
        record = {"path": path, **dict(zip(columns, values, strict=True))}
        if every is not None:
            numbers = [round(value, DIGITS) for value in every[row].tolist()]
            record["probabilities"] = dict(zip(found.class_names, numbers, strict=True))
        yield record
