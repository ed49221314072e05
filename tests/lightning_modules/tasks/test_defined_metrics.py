"""Metrics that are not defined for what was measured are NaN, with a reason; all others are those of torchmetrics."""

import math
import warnings
from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import Metric, R2Score
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MultilabelF1Score,
)

from lightning_modules import BinaryClassifier
from lightning_modules.tasks.defined_metrics import AUROC, F1, R2, Dice, IoU, LabelF1, LabelledAccuracy

NO_LABEL = torch.full((4,), 255)
CASES: list[tuple[Metric, Metric, Tensor, Tensor, Tensor, str]] = [
    (AUROC(thresholds=50), BinaryAUROC(thresholds=50), torch.rand(20), torch.arange(20) % 2, torch.zeros(20).long(), "no positive"),
    (AUROC(thresholds=50), BinaryAUROC(thresholds=50), torch.rand(20), torch.arange(20) % 2, torch.ones(20).long(), "no negative"),
    (F1(), BinaryF1Score(), torch.rand(20), torch.arange(20) % 2, torch.zeros(20).long(), "no positive targets"),
    (LabelF1(3), MultilabelF1Score(3), torch.rand(8, 3), torch.rand(8, 3).round().long(), torch.zeros(8, 3).long(), "label"),
    (R2(), R2Score(), torch.rand(9), torch.rand(9), torch.full((9,), 3.7), "all targets are equal"),
    (LabelledAccuracy(3, ignore_index=255), MulticlassAccuracy(3, average="micro", ignore_index=255),
     torch.tensor([0, 1, 2, 1]), torch.tensor([0, 2, 2, 255]), NO_LABEL, "no target is labelled"),
    (Dice(3, ignore_index=255), MulticlassF1Score(3, ignore_index=255),
     torch.tensor([0, 1, 2, 1]), torch.tensor([0, 2, 2, 255]), NO_LABEL, "no target is labelled"),
    (IoU(3, ignore_index=255), MulticlassJaccardIndex(3, ignore_index=255),
     torch.tensor([0, 1, 2, 1]), torch.tensor([0, 2, 2, 255]), NO_LABEL, "no target is labelled"),
]  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "output", "target", "undefined", "reason"), CASES)
def test_nan_where_it_is_not_defined(
    ours: Any, theirs: Metric, output: Tensor, target: Tensor, undefined: Tensor, reason: str
) -> None:
    ours.reset()
    ours.update(output, target)
    theirs.update(output, target)
    assert ours.compute() == theirs.compute()
    assert ours.reason is None
    assert ours.higher_is_better == theirs.higher_is_better
    ours.reset()
    ours.update(output, undefined)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torchmetrics says that it returns 0
        assert math.isnan(ours.compute())
    assert reason in str(ours.reason)


@pytest.mark.parametrize("samples", [0, 1])
def test_r2_of_too_few_samples(samples: int) -> None:
    """Torchmetrics raises an error, after an epoch of training."""
    metric = R2()
    if samples:
        metric.update(torch.zeros(1), torch.zeros(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert math.isnan(metric.compute())
    assert metric.reason == f"the variance of {samples} targets is not defined"


def test_a_validation_of_one_class_says_so_once(tmp_path: Any) -> None:
    images, targets = torch.rand(8, 4), torch.arange(8) % 2
    module = BinaryClassifier(nn.Linear(4, 1), partial(torch.optim.SGD, lr=0.1), channels_last=False)
    trainer = Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    val = DataLoader(TensorDataset(images, torch.zeros(8, dtype=torch.long)), batch_size=4)
    with pytest.warns(UserWarning, match="is not defined") as caught:
        trainer.fit(module, DataLoader(TensorDataset(images, targets), batch_size=4), val)
    said = [str(warning.message) for warning in caught if "is not defined" in str(warning.message)]
    assert sorted(said) == [
        "val/auroc is not defined: there are no positive targets. It is logged as NaN.",
        "val/f1 is not defined: there are no positive targets. It is logged as NaN.",
    ]
    assert math.isnan(trainer.callback_metrics["val/auroc"])
    assert math.isnan(trainer.callback_metrics["val/f1"])
    assert not math.isnan(trainer.callback_metrics["val/accuracy"])
