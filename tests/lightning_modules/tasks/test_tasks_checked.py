"""Tasks refuse what does not fit, train from their configs, and take batches without a target."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cli import main
from datamodules import (
    BreastCancerDataModule,
    DiabetesDataModule,
    DigitsDataModule,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.losses import DiceLoss, SigmoidCrossEntropyLoss, SigmoidFocalLoss
from lightning_modules.losses.cross_entropy import nll_of_rows
from lightning_modules.networks import MLP, SmallCNN, UNet
from tests.lightning_modules.tasks.tasks_case import SGD, quiet


@pytest.mark.parametrize(
    ("module", "data", "message"),
    [
        (
            BinaryClassifier(MLP(3, 30), SGD),
            BreastCancerDataModule(),
            r"MLP gives \(2, 3\).*binary classification needs",
        ),
        (
            Regressor(MLP(2, 10), SGD),
            DiabetesDataModule(batch_size=32),
            r"MLP gives \(2, 2\).*regression needs one number each",
        ),
        (MultilabelClassifier(SmallCNN(5, 3), SGD), ShapeLabelsDataModule(), r"gives \(2, 5\).*data has 3 labels"),
        (Segmenter(SmallCNN(4, 3), SGD), ShapeMasksDataModule(), r"SmallCNN gives \(2, 4\).*\(2, 4, 32, 32\)"),
        (
            Segmenter(UNet(4), SGD, DiceLoss("binary")),
            ShapeMasksDataModule(),
            "is for binary segmentation.*4 classes.*dice.yaml",
        ),
        (Regressor(SmallCNN(1, 1), SGD), DigitsDataModule(), "standardize is on.*target_statistics"),
        (BinaryClassifier(MLP(1, 7), SGD), BreastCancerDataModule(), r"MLP does not take .* \(30, 1, 1\)"),
    ],
)
def test_a_network_or_loss_that_does_not_fit_is_an_error(module: Any, data: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        quiet(tmp_path, max_epochs=1).fit(module, data)


class TwoClasses(ShapeMasksDataModule):
    """Says that its masks have two classes."""

    @property
    def class_names(self) -> list[str]:
        """The names."""
        return ["background", "shape"]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (SigmoidCrossEntropyLoss([1.0, 3.0]), r"pos_weight has 2 numbers.*give one number, e\.g\. --model\.loss\.pos_weight 3"),
        (SigmoidFocalLoss(2.0, [0.3, 0.7]), r"alpha has 2 numbers.*--model\.loss\.alpha 0\.7"),
        (nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0] * 32)), r"pos_weight has 32 numbers"),
    ],
    ids=["bce", "focal", "torch"],
)  # fmt: skip
def test_binary_segmentation_takes_one_weight(loss: nn.Module, message: str, tmp_path: Path) -> None:
    """A list would weigh the rows of the masks as if they were labels."""
    with pytest.raises(UserError, match=message):
        quiet(tmp_path, max_epochs=1).fit(Segmenter(nn.Conv2d(3, 1, 1), SGD, loss), TwoClasses())


def test_numbers_of_classes_must_be_known(tmp_path: Path) -> None:
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(4, 3, 8, 8), torch.zeros(4)))
    for kind in (Segmenter, MultilabelClassifier):
        with pytest.raises(UserError, match=f"is unknown: give {kind.__name__}"):
            quiet(tmp_path, max_epochs=1).fit(kind(SmallCNN(3, 3), SGD), loader)


def test_arguments_are_checked() -> None:
    for kind in (BinaryClassifier, MultilabelClassifier):
        with pytest.raises(ValueError, match=r"threshold must be in \[0, 1\], got 1\.5"):
            kind(MLP(1), SGD, threshold=1.5)
        with pytest.raises(ValueError, match="network_output must be one of logits, probabilities; got 'odds'"):
            kind(MLP(1), SGD, network_output="odds")  # type: ignore[arg-type]


CONFIGS = ["binary", "multilabel", "regression", "linear_regression", "segmentation"]


@pytest.mark.parametrize("config", CONFIGS)
def test_config_trains_two_steps_and_predicts_a_table(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1", "--trainer.max_epochs=1"]
    few = ["--data.pictures=64"] if config in ("multilabel", "segmentation") else []
    run = main(["fit", "-c", f"configs/{config}.yaml", *short, *few]).run
    assert run is not None
    main(["predict", "--ckpt_path", str(run.folder)])
    with (run.folder / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows
    if config == "segmentation":
        mask = Image.open(run.folder / rows[0]["mask"])
        assert mask.size == (32, 32)
        assert mask.mode == "P"
    if config == "multilabel":
        assert list(rows[0]) == [
            "index", "labels", "probability_disc", "probability_square", "probability_triangle",
        ]  # fmt: skip
        named = {
            "; ".join(n for n in ("disc", "square", "triangle") if float(row[f"probability_{n}"]) >= 0.5)
            for row in rows
        }
        assert {row["labels"] for row in rows} == named
    if config == "binary":
        assert {row["class"] for row in rows} <= {"benign", "malignant"}


EMPTY: list[tuple[Callable[..., Any], nn.Module, Tensor, Tensor]] = [
    (ImageClassifier, nn.CrossEntropyLoss(), torch.zeros(0, 10), torch.zeros(0, dtype=torch.int64)),
    (BinaryClassifier, nn.BCEWithLogitsLoss(), torch.zeros(0), torch.zeros(0, dtype=torch.int64)),
    (MultilabelClassifier, nn.BCEWithLogitsLoss(), torch.zeros(0, 3), torch.zeros(0, 3)),
    *((Regressor, kind(), torch.zeros(0), torch.zeros(0)) for kind in (nn.MSELoss, nn.L1Loss, nn.HuberLoss)),
    (Regressor, nn.SmoothL1Loss(), torch.zeros(0), torch.zeros(0)),
    (Segmenter, nn.CrossEntropyLoss(), torch.zeros(0, 4, 8, 8), torch.zeros(0, 8, 8, dtype=torch.int64)),
]


@pytest.mark.parametrize(("kind", "loss", "output", "target"), EMPTY, ids=lambda value: type(value).__name__)
def test_an_empty_batch_has_zero_loss_with_torchs_losses_too(
    kind: Callable[..., Any], loss: nn.Module, output: Tensor, target: Tensor
) -> None:
    assert loss(output, target if isinstance(loss, nn.CrossEntropyLoss) else target.float()).isnan()
    output = output.clone().requires_grad_()
    value = kind(nn.Identity(), SGD, loss).criterion(output, target)
    assert value == 0
    value.backward()
    assert output.grad is not None


def test_a_batch_without_a_labelled_pixel_has_zero_loss_by_default() -> None:
    output, target = torch.randn(2, 4, 8, 8, requires_grad=True), torch.full((2, 8, 8), 255)
    value = Segmenter(nn.Identity(), SGD).criterion(output, target)
    assert value == 0
    value.backward()
    assert output.grad is not None
    assert not output.grad.any()


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(ignore_index=255, label_smoothing=0.1), None])
def test_pixels_as_rows_have_the_same_loss(loss: nn.Module | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """For `(B, C, H, W)` torch has no deterministic code on a GPU."""
    g = torch.Generator().manual_seed(0)
    module = Segmenter(nn.Identity(), SGD, loss=loss, num_classes=4)
    output, target = torch.randn(2, 4, 5, 3, generator=g), torch.randint(0, 4, (2, 5, 3), generator=g)
    target[0] = 255
    expected = module.criterion(output, target)
    seen: list[int] = []

    def spied(function: Any) -> Any:
        def call(output: Tensor, *args: Any, **options: Any) -> Tensor:
            seen.append(output.ndim)
            loss: Tensor = function(output, *args, **options)
            return loss

        return call

    for name in ("nll_loss", "cross_entropy"):
        monkeypatch.setattr(torch.nn.functional, name, spied(getattr(torch.nn.functional, name)))
    monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    if loss is None:  # ours takes rows on every device but the CPU
        rows = nll_of_rows(output.log_softmax(1), target, 255)
        torch.testing.assert_close(rows.sum() / (target != 255).sum(), expected)
        module.criterion(output.to("meta"), target.to("meta"))
    else:
        torch.testing.assert_close(module.criterion(output, target), expected)
    assert set(seen) == {2}


def test_a_loss_for_each_sample_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^loss\.reduction must be mean or sum, got none"):
        ImageClassifier(SmallCNN(), SGD, loss=nn.CrossEntropyLoss(reduction="none"))
