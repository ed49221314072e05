"""The metrics that do not wait for a device give torchmetrics' numbers, batch by batch, and ask the host nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAUROC,
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MultilabelExactMatch,
)

from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.tasks.metrics import ExactMatch, MeanDice, MeanIoU, PixelAccuracy, ThresholdAUROC


def masks(g: torch.Generator, never: int = 3) -> tuple[Tensor, Tensor]:
    predicted, target = (torch.randint(0, 4, (3, 6, 5), generator=g) for _ in range(2))
    predicted[predicted == never], target[target == never] = 0, 1  # a class that does not occur
    return predicted, target.where(torch.rand(3, 6, 5, generator=g) < 0.7, 255)


def answers(g: torch.Generator) -> tuple[Tensor, Tensor]:
    probability = torch.rand(40, generator=g)
    probability[:3] = torch.tensor([0.0, 1.0, 0.5])
    return probability, torch.randint(0, 2, (40,), generator=g)


def labels(g: torch.Generator) -> tuple[Tensor, Tensor]:
    target = torch.randint(0, 2, (30, 3), generator=g)
    return (target * 0.6 + 0.5 * torch.rand(30, 3, generator=g)).clamp(0, 1), target


PIXELS: dict[str, Any] = {"ignore_index": 255, "validate_args": False}
PAIRS: dict[str, tuple[Callable[[], Metric], Callable[[], Metric], Callable[..., tuple[Tensor, Tensor]]]] = {
    "accuracy": (lambda: PixelAccuracy(4, **PIXELS), lambda: MulticlassAccuracy(4, average="micro", **PIXELS), masks),
    "iou": (lambda: MeanIoU(4, average="macro", **PIXELS), lambda: MulticlassJaccardIndex(4, **PIXELS), masks),
    "dice": (lambda: MeanDice(4, **PIXELS), lambda: MulticlassF1Score(4, average="macro", **PIXELS), masks),
    "auroc": (lambda: ThresholdAUROC(thresholds=200), lambda: BinaryAUROC(thresholds=200), answers),
    "exact match": (lambda: ExactMatch(3, 0.6), lambda: MultilabelExactMatch(3, 0.6), labels),
}


@pytest.mark.parametrize("name", PAIRS)
def test_equal_to_torchmetrics(name: str) -> None:
    own, theirs, batch = PAIRS[name]
    mine, reference, g = own(), theirs(), torch.Generator().manual_seed(0)
    for _ in range(3):
        predicted, target = batch(g)
        mine.update(predicted, target)
        reference.update(predicted, target)
    torch.testing.assert_close(mine.compute(), reference.compute(), rtol=0, atol=1e-7)


def test_no_labelled_pixel_and_no_probability() -> None:
    nothing = torch.zeros(2, 3, 3, dtype=torch.long), torch.full((2, 3, 3), 255)
    for metric in (PixelAccuracy(4, **PIXELS), MeanDice(4, **PIXELS)):
        metric.update(*nothing)
        assert metric.compute() == 0
    auroc = ThresholdAUROC(thresholds=5)
    auroc.update(torch.tensor([float("nan"), 0.2, 0.9]), torch.tensor([1, 0, 1]))
    assert auroc.confmat[:, 1, 1].tolist() == [1, 1, 1, 1, 0]  # type: ignore[index]  # a NaN reaches no threshold


NETWORK = torch.nn.Linear(2, 2)
TASKS: dict[str, tuple[Any, tuple[Tensor, Tensor]]] = {
    "binary": (BinaryClassifier(NETWORK, torch.optim.SGD), answers(torch.Generator())),
    "multilabel": (MultilabelClassifier(NETWORK, torch.optim.SGD, num_labels=3), labels(torch.Generator())),
    "classes": (ImageClassifier(NETWORK, torch.optim.SGD, num_classes=3), (torch.randn(9, 3), torch.arange(9) % 3)),
    "number": (Regressor(NETWORK, torch.optim.SGD), (torch.randn(9), torch.randn(9))),
    "segmentation": (Segmenter(NETWORK, torch.optim.SGD, num_classes=4), masks(torch.Generator())),
}


@pytest.mark.parametrize("name", TASKS)
def test_updates_ask_the_host_nothing(name: str) -> None:
    """On the meta device nothing that depends on a value can be asked: it would make the host wait for a GPU."""
    task, batch = TASKS[name]
    metrics: MetricCollection = task.make_metrics().to("meta")
    for _ in range(2):
        metrics.update(*(part.to("meta") for part in batch))
