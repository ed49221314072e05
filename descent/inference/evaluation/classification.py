"""The report of a single-label classifier's evaluation."""

import math
from collections.abc import Iterable, Sequence

from descent.inference.evaluation.evaluation import MAX_DENSE, SCORE_COLUMNS, Evaluation
from descent.inference.evaluation.labels.binary import COLUMNS
from descent.inference.evaluation.labels.binary_page import positive_sentence
from descent.inference.evaluation.mistakes.explanations import Explainer
from descent.inference.evaluation.mistakes.page import suspects_sentence
from descent.inference.evaluation.page import accuracy_sentence, calibration_sentence, evaluation_page
from descent.inference.evaluation.report import Report, Table
from descent.inference.evaluation.samples.label_errors import COLUMNS as SUSPECT_COLUMNS
from descent.inference.evaluation.samples.label_errors import suspect_rows


def classification_report(
    found: Evaluation, network: str, remarks: Sequence[str] = (), explainer: Explainer | None = None
) -> Report:
    """Report the evaluation of a single-label classifier.

    Args:
        found: The evaluation.
        network: Name of the network, e.g. its checkpoint.
        remarks: Further sentences for the page and the JSON.
        explainer: Shows where the network looked.
    """
    tables = {
        "classes.csv": Table(["class", *SCORE_COLUMNS], _scores(found)),
        "confusion.csv": _confusions(found),
        "answers.csv": Table(["sample", "true_class", "class", "probability"], _samples(found)),
    }
    if found.binary is not None:
        tables["thresholds.csv"] = Table(COLUMNS, found.binary.rows())
    if found.suspects is not None:
        rows = suspect_rows(found.suspects, found.class_names)
        tables["suspected_labels.csv"] = Table(SUSPECT_COLUMNS, rows)
    gain = [] if found.mirror_gain is None else [found.mirror_gain.sentence()]
    return Report(
        found,
        [accuracy_sentence(found), *_binary(found), *gain, calibration_sentence(found), *_suspects(found)],
        {"checkpoint": network, "remarks": list(remarks)} | found.summary(),
        tables,
        lambda: evaluation_page(found, network, remarks, explainer),
    )


def _binary(found: Evaluation) -> list[str]:
    return [] if found.binary is None else [positive_sentence(found.binary)]


def _suspects(found: Evaluation) -> list[str]:
    return [] if found.suspects is None or not found.suspects.found else [suspects_sentence(found.suspects)]


def _scores(found: Evaluation) -> Iterable[Sequence[object]]:
    for name, *values in found.class_scores:
        yield [name, *("" if math.isnan(value) else value for value in values)]


def _confusions(found: Evaluation) -> Table:
    names = found.class_names
    if len(names) > MAX_DENSE:
        return Table(["true class", "predicted class", "samples"], found.confusions())
    rows = ([name, *row] for name, row in zip(names, found.confusion.tolist(), strict=True))
    return Table(["true class", *names], rows)


def _samples(found: Evaluation) -> Iterable[Sequence[object]]:
    names, predictions = found.class_names, found.predictions
    columns = predictions.names, predictions.targets.tolist(), predictions.classes.tolist(), found.confidence.tolist()
    for sample, target, predicted, confidence in zip(*columns, strict=True):
        yield sample, names[target], names[predicted], f"{confidence:.6f}"
