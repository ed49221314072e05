"""Every task trains from its config, logs the metrics it names, and writes readable predictions."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from sklearn.metrics import f1_score, r2_score, roc_auc_score
from torch import Tensor, nn

from cli import main
from datamodules import (
    BreastCancerDataModule,
    DiabetesDataModule,
    DigitsDataModule,
    ImageDataModule,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.losses import DiceLoss, ProbabilityBCELoss, SigmoidFocalLoss
from lightning_modules.losses.cross_entropy import nll_of_rows
from lightning_modules.networks import MLP, SmallCNN, UNet

SGD = partial(torch.optim.SGD, lr=0.05)
TASKS: list[tuple[Callable[..., LightningModule], nn.Module, ImageDataModule]] = [
    (BinaryClassifier, MLP(2, 30), BreastCancerDataModule(batch_size=32)),
    (MultilabelClassifier, SmallCNN(3, 3, 4), ShapeLabelsDataModule(pictures=64, size=16, batch_size=16)),
    (Regressor, MLP(1, 10), DiabetesDataModule(batch_size=32)),
    (Segmenter, UNet(4, 3, 4, 2), ShapeMasksDataModule(pictures=64, size=16, batch_size=16)),
    (
        partial(Segmenter, loss=DiceLoss(mode="binary")),
        UNet(2, 3, 4, 2, outputs=1),
        ShapeMasksDataModule(pictures=64, size=16, batch_size=16, foreground=True),
    ),
]


def quiet(folder: Path, **options: Any) -> Trainer:
    return Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )


@pytest.mark.parametrize(("kind", "network", "data"), TASKS, ids=lambda value: getattr(value, "__name__", ""))
def test_trains_measures_and_predicts(kind: Any, network: nn.Module, data: ImageDataModule, tmp_path: Path) -> None:
    module, trainer = kind(network=network, optimizer=SGD), quiet(tmp_path, max_epochs=2)
    trainer.fit(module, data)
    logged = trainer.callback_metrics
    assert set(logged) >= module.logged_metrics()
    assert all(torch.isfinite(value) for value in logged.values())
    (measured,) = trainer.test(module, data, verbose=False)
    assert set(measured) == {f"test/{name}" for name in module.metric_names()}
    predictions: Any = trainer.predict(module, data)
    assert data.test_set is not None
    for name in predictions[0]:
        assert sum(len(batch[name]) for batch in predictions) == len(data.test_set)


def predicted(module: LightningModule, data: ImageDataModule, folder: Path) -> tuple[dict[str, Tensor], Tensor]:
    """Predictions of an untrained module, and the true targets."""
    batches: Any = quiet(folder).predict(module, data)
    assert data.test_set is not None
    targets = data.test_set.images.targets[data.test_set.rows]
    return {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}, targets


def metrics_of(module: LightningModule, data: ImageDataModule, folder: Path) -> dict[str, float]:
    (values,) = quiet(folder).test(module, data, verbose=False)
    return dict(values)


def test_binary_metrics_are_scikit_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = BreastCancerDataModule(batch_size=32)
    module = BinaryClassifier(MLP(1, 30), SGD, threshold=0.52)
    found, true = predicted(module, data, tmp_path)
    values = metrics_of(module, data, tmp_path)
    answers, probability = found["class"], found["probability_of_positive"]
    assert torch.equal(answers, (probability >= 0.52).long())
    assert values["test/accuracy"] == pytest.approx((answers == true).float().mean().item())
    assert values["test/f1"] == pytest.approx(f1_score(true, answers), abs=1e-6)
    assert values["test/auroc"] == pytest.approx(roc_auc_score(true, probability), abs=0.02)  # 200 thresholds


def test_two_logits_are_the_softmax_of_a_classifier(tmp_path: Path) -> None:
    network, data = MLP(2, 30), BreastCancerDataModule(batch_size=32)
    binary, _ = predicted(BinaryClassifier(network, SGD), data, tmp_path)
    of_two, _ = predicted(ImageClassifier(network, SGD), data, tmp_path)
    assert torch.equal(binary["class"], of_two["class"])
    positive = torch.where(of_two["class"] == 1, of_two["probability"], 1 - of_two["probability"])
    torch.testing.assert_close(binary["probability_of_positive"], positive)


def test_a_loss_on_probabilities_gets_probabilities() -> None:
    network = MLP(1, 30)
    logits = BinaryClassifier(network, SGD)
    probabilities = BinaryClassifier(network, SGD, ProbabilityBCELoss())
    x, y = torch.randn(8, 30), torch.randint(2, (8,))
    torch.testing.assert_close(probabilities(x), logits(x).sigmoid())
    torch.testing.assert_close(probabilities.criterion(probabilities(x), y), logits.criterion(logits(x), y))
    torch.testing.assert_close(probabilities.prediction_columns(probabilities(x)), logits.prediction_columns(logits(x)))


def test_a_network_that_ends_in_a_sigmoid() -> None:
    network = nn.Sequential(MLP(1, 30), nn.Sigmoid())
    module = BinaryClassifier(network, SGD, ProbabilityBCELoss(), network_output="probabilities")
    x = torch.randn(8, 30)
    torch.testing.assert_close(module.prediction_columns(module(x))["probability_of_positive"], network(x)[:, 0])
    with pytest.raises(UserError, match=r"SigmoidFocalLoss needs logits.*remove its last sigmoid"):
        BinaryClassifier(network, SGD, SigmoidFocalLoss(), network_output="probabilities")(x)


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss(), nn.BCELoss(), SigmoidFocalLoss(), ProbabilityBCELoss()])
def test_binary_losses_take_class_numbers(loss: nn.Module) -> None:
    module = BinaryClassifier(MLP(1, 30), SGD, loss)
    assert module.criterion(module(torch.randn(8, 30)), torch.randint(2, (8,))).isfinite()


def test_regression_metrics_are_in_the_targets_unit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    data = DiabetesDataModule(batch_size=32)
    module = Regressor(MLP(1, 10), SGD)
    quiet(tmp_path, max_epochs=5).fit(module, data)
    mean, std = data.target_statistics
    assert (module.mean.item(), module.std.item()) == pytest.approx((mean, std), rel=1e-5)
    found, true = predicted(module, data, tmp_path)
    number, values = found["prediction"], metrics_of(module, data, tmp_path)
    assert values["test/rmse"] == pytest.approx((number - true).square().mean().sqrt().item(), rel=1e-4)
    assert values["test/mae"] == pytest.approx((number - true).abs().mean().item(), rel=1e-4)
    assert values["test/r2"] == pytest.approx(r2_score(true, number), rel=1e-3)
    assert values["test/loss"] == pytest.approx((values["test/rmse"] / std) ** 2, rel=1e-4)


def test_the_targets_statistics_travel_in_the_checkpoint(tmp_path: Path) -> None:
    data, trainer = DiabetesDataModule(batch_size=32), quiet(tmp_path, max_epochs=1)
    module = Regressor(MLP(1, 10), SGD)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    again = Regressor.load_from_checkpoint(tmp_path / "it.ckpt", network=MLP(1, 10), optimizer=SGD)
    x = torch.randn(4, 10)
    torch.testing.assert_close(again.prediction_columns(again(x)), module.prediction_columns(module(x)))


def test_multilabel_metrics_are_scikit_learns(tmp_path: Path) -> None:
    torch.manual_seed(1)
    data = ShapeLabelsDataModule(pictures=400, size=16, batch_size=16)
    module = MultilabelClassifier(SmallCNN(3, 3, 4), SGD, threshold=0.5)
    found, true = predicted(module, data, tmp_path)
    values, answers = metrics_of(module, data, tmp_path), found["labels"]
    assert values["test/accuracy"] == pytest.approx((answers == true.bool()).float().mean().item())
    assert values["test/exact_match"] == pytest.approx((answers == true.bool()).all(1).float().mean().item())
    assert values["test/f1"] == pytest.approx(f1_score(true, answers, average="macro", zero_division=0), abs=1e-6)


def test_segmentation_metrics_by_hand_and_unlabelled_pixels(tmp_path: Path) -> None:
    data = ShapeMasksDataModule(pictures=100, size=16, batch_size=16)
    module = Segmenter(UNet(4, 3, 4, 2), SGD)
    found, true = predicted(module, data, tmp_path)
    values = metrics_of(module, data, tmp_path)
    overlap = []
    for label in range(4):
        both = ((found["mask"] == label) & (true == label)).sum()
        overlap.append(both / ((found["mask"] == label) | (true == label)).sum())
    assert values["test/iou"] == pytest.approx(torch.stack(overlap).mean().item(), abs=1e-5)
    assert values["test/accuracy"] == pytest.approx((found["mask"] == true).float().mean().item())
    output, target = torch.randn(2, 4, 8, 8), torch.full((2, 8, 8), 255)
    assert module.batch_metrics(output, target)["accuracy"] == 0
    assert module.batch_metrics(output, output.argmax(1))["accuracy"] == 1


@pytest.mark.parametrize("loss", [DiceLoss("binary"), nn.BCEWithLogitsLoss(), ProbabilityBCELoss()])
@pytest.mark.parametrize("outputs", [1, 2])
def test_binary_segmentation(loss: nn.Module, outputs: int) -> None:
    module = Segmenter(UNet(outputs, 3, 4, 2), SGD, loss)
    x, y = torch.randn(2, 3, 8, 8), torch.randint(2, (2, 8, 8))
    output = module(x)
    assert output.shape == (2, 8, 8)
    assert module.criterion(output, y).isfinite()
    logits = module.network(x)
    expected = logits.argmax(1) if outputs == 2 else (logits[:, 0] > 0).long()
    assert torch.equal(module.mask(output), expected)


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
