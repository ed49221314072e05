"""Evaluate a multi-label classifier on the run's test data, and report it."""

from collections.abc import Iterable, Sequence

from torch import Tensor

from descent.inference.evaluation.labels.evaluation import MultilabelEvaluation
from descent.inference.evaluation.labels.page import labels_sentence, multilabel_page, multilabel_remarks
from descent.inference.evaluation.outputs import outputs_of_test_data
from descent.inference.evaluation.report import Report, Table, csv_number
from descent.inference.loading import TrainedNetwork
from lightning_modules import MultilabelClassifier

LABEL_COLUMNS = ["label", "prevalence", "average_precision", "average_precision_low", "average_precision_high", "auc",
                 "auc_low", "auc_high", "threshold", "true_positive", "false_positive", "false_negative",
                 "true_negative", "precision", "recall", "f1"]  # fmt: skip


def evaluate_multilabel(trained: TrainedNetwork, module: MultilabelClassifier) -> MultilabelEvaluation:
    """Evaluate a multi-label classifier on the run's own test data."""

    def columns(output: Tensor) -> tuple[Tensor, Tensor]:
        return output.float(), module.probabilities(output)

    found, samples = outputs_of_test_data(trained, columns)
    scores, probabilities = (column.double().numpy() for column in found.columns)
    targets = (found.targets > 0.5).numpy()
    return MultilabelEvaluation(scores, probabilities, targets, trained.class_names, module.threshold, samples)


def multilabel_report(found: MultilabelEvaluation, network: str, remarks: Sequence[str] = ()) -> Report:
    """Report a multi-label evaluation; see `classification_report` for the arguments."""
    said = multilabel_remarks(found)
    answers = ["sample", "true_labels", "labels", *(f"probability_{name}" for name in found.class_names)]
    return Report(
        found,
        [labels_sentence(found), *said],
        {"checkpoint": network, "remarks": [*remarks, *said]} | found.summary(),
        {"labels.csv": Table(LABEL_COLUMNS, _labels(found)), "answers.csv": Table(answers, _samples(found))},
        lambda: multilabel_page(found, network, remarks),
    )


def _labels(found: MultilabelEvaluation) -> Iterable[Sequence[object]]:
    for score in found.labels:
        precision, area = score.average_precision_interval, score.auc_interval
        counts = score.counts
        values = score.prevalence, score.average_precision, *precision, score.auc, *area
        yield [
            score.name,
            *map(csv_number, values),
            *counts,
            *map(csv_number, (counts.precision, counts.recall, counts.f1)),
        ]


def _samples(found: MultilabelEvaluation) -> Iterable[Sequence[object]]:
    for row, name in enumerate(found.samples.names):
        sets = (found.names_of(applies[row]).replace(" + ", "; ") for applies in (found.targets, found.predicted))
        yield [name, *sets, *(f"{value:.6f}" for value in found.probabilities[row].tolist())]
