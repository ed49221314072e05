"""Predictions as CSV."""

import csv
from collections.abc import Iterator
from pathlib import Path

from descent.inference.prediction.prediction import Predictions
from foundation.files import replacing


def write_table(predictions: Predictions, file: Path) -> None:
    """Write a row an image: `path`, `class`, `probability`, `runner_up`, `runner_up_probability`.

    Where any number of labels may apply: `path`, `labels` (joined by `; `), and `probability_<label>` of each.

    Args:
        predictions: What came of the files.
        file: Replaced as a whole.
    """
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as target:
        writer = csv.writer(target)
        writer.writerow(_head(predictions))
        writer.writerows(_rows(predictions))


def write_failures(failures: dict[str, str], file: Path) -> None:
    """Write `path`, `reason` of the files that could not be decoded; without any, remove a list of an earlier time."""
    if not failures:
        file.unlink(missing_ok=True)
        return
    with replacing(file) as part, part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as target:
        writer = csv.writer(target)
        writer.writerow(["path", "reason"])
        writer.writerows(failures.items())


def _head(predictions: Predictions) -> list[str]:
    if predictions.answers.labels is not None:
        return ["path", "labels", *(f"probability_{name}" for name in predictions.class_names)]
    return ["path", "class", "probability", "runner_up", "runner_up_probability"]


def _rows(predictions: Predictions) -> Iterator[list[str]]:
    names, answers = predictions.class_names, predictions.answers
    if answers.labels is not None and answers.every is not None:
        for path, labels, every in zip(predictions.paths, answers.labels.tolist(), answers.every.tolist(), strict=True):
            applying = "; ".join(name for name, applies in zip(names, labels, strict=True) if applies)
            yield [path, applying, *(f"{value:.6f}" for value in every)]
        return
    for path, choice, values in zip(
        predictions.paths, answers.choice.tolist(), answers.probability.tolist(), strict=True
    ):
        yield [path, names[choice[0]], f"{values[0]:.6f}", names[choice[1]], f"{values[1]:.6f}"]
