"""An evaluation's files: page, numbers, tables."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.page import evaluation_page
from foundation.files import replacing, strict_json


def write_evaluation(found: Evaluation, folder: Path, network: str, remarks: Sequence[str] = ()) -> str:
    """Write `evaluation.html`, `evaluation.json`, `classes.csv`, `confusion.csv`, `answers.csv`.

    Args:
        found: What was measured.
        folder: Made if need be.
        network: Which network was measured.
        remarks: What else a reader must know.

    Returns:
        The JSON.

    Raises:
        OSError: The folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = strict_json({"checkpoint": network, "remarks": list(remarks)} | found.summary()) + "\n"
    names = found.class_names
    rows = found.confusion.tolist()
    head = ["class", "samples", "said", "right", "precision", "recall", "f1"]
    contents = {
        "classes.csv": _csv(head, (["" if v is None else v for v in score] for score in found.classes)),
        "confusion.csv": _csv(["true class", *names], ([name, *row] for name, row in zip(names, rows, strict=True))),
        "answers.csv": _csv(["sample", "true_class", "class", "probability"], _answers(found)),
        "evaluation.json": text,
        "evaluation.html": evaluation_page(found, "Evaluation", network, remarks),
    }
    for name, content in contents.items():
        with replacing(folder / name) as part:
            part.write_bytes(
                content.encode("utf-8", "surrogateescape" if name.endswith(".csv") else "backslashreplace")
            )
    return text


def _answers(found: Evaluation) -> Iterable[Sequence[object]]:
    names, outputs = found.class_names, found.outputs
    columns = outputs.names, outputs.targets.tolist(), outputs.choices.tolist(), found.probability.tolist()
    for name, target, choice, probability in zip(*columns, strict=True):
        yield name, names[target], names[choice], f"{probability:.6f}"


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return target.getvalue()
