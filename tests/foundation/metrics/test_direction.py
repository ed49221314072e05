"""Whether a larger or a smaller value of a metric is better."""

import pytest
import torch
import torchmetrics
from torch import nn
from torchmetrics.classification import BinaryAUROC, MulticlassCohenKappa
from torchmetrics.image import PeakSignalNoiseRatio
from torchmetrics.text import Perplexity

from foundation.errors import UserError
from foundation.metrics.direction import Direction, direction_for, directions_of, known_direction


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [
        ("val/loss", "min"), ("val_loss", "min"), ("valid/ce_loss", "min"), ("train/loss_step", "min"),
        ("val/accuracy", "max"), ("val_acc", "max"), ("val/accuracy_top5", "max"), ("val/top5_accuracy", "max"),
        ("val/macro_f1", "max"), ("val/F1", "max"), ("val/mAP", "max"), ("val/mIoU", "max"), ("val/r2", "max"),
        ("val/cohen_kappa", "max"), ("val/mean_absolute_error", "min"), ("val/psnr", "max"), ("val/fid", "min"),
        ("val/accuracy/dataloader_idx_1", "max"), ("val/sliced_wasserstein", "min"),
    ],
)  # fmt: skip
def test_known_names(monitor: str, direction: Direction) -> None:
    assert known_direction(monitor) == direction
    assert direction_for("The checkpoint", monitor, None) == direction
    assert direction_for("The checkpoint", monitor, direction) == direction
    other = "max" if direction == "min" else "min"
    with pytest.raises(UserError, match=f"with mode {other}, but a .* is better: set mode: {direction}"):
        direction_for("The checkpoint", monitor, other)


@pytest.mark.parametrize(
    "monitor", ["val/elbo", "step", "lr", "grad_norm/total", "train/generator_loss", "d_loss", "val/real_accuracy"]
)
def test_an_unknown_metric_needs_a_mode(monitor: str) -> None:
    """Losses of two networks against each other are unknown too: neither direction is better."""
    with pytest.raises(UserError, match=f"monitors '{monitor}', and it is not known .* set checkpoint.mode: max or"):
        direction_for("The checkpoint", monitor, None, key="checkpoint.mode")
    assert direction_for("The checkpoint", monitor, "max") == "max"


def test_every_name_agrees_with_torchmetrics() -> None:
    """Names that torchmetrics has too, checked against its objects; they were written down by hand."""
    made = {
        "accuracy": torchmetrics.Accuracy(task="binary"),
        "auroc": BinaryAUROC(),
        "f1": torchmetrics.F1Score(task="binary"),
        "precision": torchmetrics.Precision(task="binary"),
        "recall": torchmetrics.Recall(task="binary"),
        "jaccard": torchmetrics.JaccardIndex(task="binary"),
        "average_precision": torchmetrics.AveragePrecision(task="binary"),
        "calibration_error": torchmetrics.CalibrationError(task="binary"),
        "mse": torchmetrics.MeanSquaredError(),
        "mae": torchmetrics.MeanAbsoluteError(),
        "r2": torchmetrics.R2Score(),
        "psnr": PeakSignalNoiseRatio(data_range=1.0),
        "perplexity": Perplexity(),
        "mcc": torchmetrics.MatthewsCorrCoef(task="binary"),
    }
    for name, metric in made.items():
        if metric.higher_is_better is not None:
            assert known_direction(f"val/{name}") == ("max" if metric.higher_is_better else "min"), name


def test_a_module_knows_the_direction_of_its_own_metrics() -> None:
    class Agreement(torchmetrics.MeanMetric):
        higher_is_better = True  # type: ignore[assignment]

    module = nn.Module()
    module.val_agreement = Agreement()
    module.losses = torchmetrics.MetricCollection({"loss": MulticlassCohenKappa(3)})
    measured = directions_of(module)
    assert measured == {"agreement": "max", "loss": "max"}
    assert known_direction("val/agreement", measured) == "max"
    assert known_direction("val/loss", measured) == "max"  # its own word counts before a name
    assert torch.is_tensor(module.val_agreement(1.0))
