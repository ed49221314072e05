"""Write the files of an evaluation: page, numbers, tables."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from descent.inference.evaluation.evaluation import MAX_DENSE, SCORE_COLUMNS, Evaluation
from descent.inference.evaluation.page import evaluation_page
from descent.inference.page_file import write_page
from descent.inference.prediction.table import write_csv
from foundation.files import replacing, strict_json


def write_evaluation(found: Evaluation, folder: Path, network: str, remarks: Sequence[str] = ()) -> str:
    """Write `evaluation.html`, `evaluation.json`, `classes.csv`, `confusion.csv`, `answers.csv` into a folder.

    Args:
        found: The evaluation.
        folder: Created if it does not exist.
        network: Name of the network, e.g. its checkpoint.
        remarks: Further sentences for the page and the JSON.

    Returns:
        The text of evaluation.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = found.class_names
    scores = ([name, *("" if math.isnan(value) else value for value in values)] for name, *values in found.class_scores)
    write_csv(folder / "classes.csv", ["class", *SCORE_COLUMNS], scores)
    if len(names) <= MAX_DENSE:
        rows = ([name, *row] for name, row in zip(names, found.confusion.tolist(), strict=True))
        write_csv(folder / "confusion.csv", ["true class", *names], rows)
    else:
        write_csv(folder / "confusion.csv", ["true class", "predicted class", "samples"], found.confusions())
    write_csv(folder / "answers.csv", ["sample", "true_class", "class", "probability"], _samples(found))
    text = strict_json({"checkpoint": network, "remarks": list(remarks)} | found.summary()) + "\n"
    with replacing(folder / "evaluation.json") as part:  # before the page, so that an error there loses no result
        part.write_text(text, "utf-8", "backslashreplace")
    write_page(folder / "evaluation.html", lambda: evaluation_page(found, network, remarks))
    return text


def _samples(found: Evaluation) -> Iterable[Sequence[object]]:
    names, predictions = found.class_names, found.predictions
    columns = predictions.names, predictions.targets.tolist(), predictions.classes.tolist(), found.confidence.tolist()
    for sample, target, predicted, confidence in zip(*columns, strict=True):
        yield sample, names[target], names[predicted], f"{confidence:.6f}"
