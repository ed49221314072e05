"""Every task trains from its config, logs the metrics it names, and writes readable predictions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from sklearn.metrics import f1_score, r2_score, roc_auc_score
from torch import Tensor, nn

from datamodules import (
    BreastCancerDataModule,
    DiabetesDataModule,
    ImageDataModule,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor, Segmenter
from lightning_modules.losses import DiceLoss, ProbabilityBCELoss, SigmoidFocalLoss
from lightning_modules.networks import MLP, SmallCNN, UNet
from tests.lightning_modules.tasks.tasks_case import SGD, TASKS, quiet


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
