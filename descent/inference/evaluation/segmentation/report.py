"""Evaluate a segmentation on the run's test data, and report it."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from descent.inference.evaluation.outputs import outputs_of_test_data
from descent.inference.evaluation.report import Report, Table, csv_number
from descent.inference.evaluation.segmentation.evaluation import SegmentationEvaluation
from descent.inference.evaluation.segmentation.page import iou_sentence, segmentation_page, segmentation_remarks
from descent.inference.loading import TrainedNetwork
from lightning_modules import Segmenter

CLASS_COLUMNS = ["class", "pixels", "predicted", "right", "iou", "iou_low", "iou_high", "dice", "dice_low", "dice_high",
                 "precision", "recall"]  # fmt: skip


def evaluate_segmenter(trained: TrainedNetwork, module: Segmenter) -> SegmentationEvaluation:
    """Evaluate a segmenter on the run's own test data."""
    names = trained.class_names

    def mask(output: Tensor) -> tuple[Tensor, ...]:
        return (module.mask(output).to(torch.uint8 if len(names) <= 256 else torch.int16),)

    found, samples = outputs_of_test_data(trained, mask)
    positive = names[1] if module.binary else None
    return SegmentationEvaluation(found.columns[0], found.targets, names, module.ignore_index, samples, positive)


def segmentation_report(found: SegmentationEvaluation, network: str, remarks: Sequence[str] = ()) -> Report:
    """Report a segmentation's evaluation; see `classification_report` for the arguments."""
    said = segmentation_remarks(found)
    confusions = Table(["true class", "predicted class", "pixels", "share of the true class"], found.confusions())
    answers = ["sample", "mean_iou", "pixel_accuracy", *(f"iou_{name}" for name in found.class_names)]
    return Report(
        found,
        [iou_sentence(found), *said],
        {"checkpoint": network, "remarks": [*remarks, *said]} | found.summary(),
        {
            "classes.csv": Table(CLASS_COLUMNS, _classes(found)),
            "confusion.csv": confusions,
            "answers.csv": Table(answers, _images(found)),
        },
        lambda: segmentation_page(found, network, remarks),
    )


def _classes(found: SegmentationEvaluation) -> Iterable[Sequence[object]]:
    for score in found.class_scores:
        counts, dice = score[:4], (score.dice, *score.dice_interval)
        yield [*counts, *map(csv_number, (score.iou, *score.iou_interval, *dice, score.precision, score.recall))]


def _images(found: SegmentationEvaluation) -> Iterable[Sequence[object]]:
    union = found.guessed + found.true - found.correct
    for row, pair in enumerate(zip(found.image_ious().tolist(), found.image_accuracies().tolist(), strict=True)):
        ious = (c / u if u else math.nan for c, u in zip(found.correct[row].tolist(), union[row].tolist(), strict=True))
        yield [found.samples.names[row], *map(csv_number, (*pair, *ious))]
