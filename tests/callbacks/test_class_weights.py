"""Class weights: worked by hand, set in the loss, kept out of checkpoints, refused where the loss takes none."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from callbacks import ClassWeights
from callbacks.class_weights import class_weights, label_counts
from datamodules import BreastCancerDataModule, ImageFolderDataModule, ShapeMasksDataModule
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Segmenter
from lightning_modules.losses import DiceLoss, SoftmaxFocalLoss, WeightedCrossEntropyLoss
from lightning_modules.networks import MLP, UNet
from tests.datamodules.support import quiet_trainer, save_image

SGD = partial(torch.optim.SGD, lr=0.1)


def fit(folder: Path, module: Any, data: Any, callback: ClassWeights) -> Trainer:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        max_epochs=1,
        limit_train_batches=1,
        limit_val_batches=1,
        callbacks=[callback],
    )
    trainer.fit(module, data)
    return trainer


def test_worked_by_hand() -> None:
    counts = torch.tensor([90, 9, 1])
    torch.testing.assert_close(class_weights(counts, "inverse"), 100 / (3 * counts))
    raw = torch.tensor([(1 - 0.9) / (1 - 0.9**n) for n in (90, 9, 1)])
    torch.testing.assert_close(class_weights(counts, "effective", 0.9), raw * 100 / (raw * counts).sum())


@pytest.mark.parametrize("method", ["inverse", "effective"])
def test_the_mean_weight_of_the_labels_is_one(method: Any) -> None:
    counts = torch.tensor([90, 9, 1])
    assert ((class_weights(counts, method) * counts).sum() / 100).item() == pytest.approx(1)


def test_effective_lies_between_none_and_inverse() -> None:
    counts = torch.tensor([90, 9, 1])
    torch.testing.assert_close(class_weights(counts, "effective", 0.0), torch.ones(3))
    nearly = class_weights(counts, "effective", 1 - 1e-9)
    torch.testing.assert_close(nearly, class_weights(counts, "inverse"), rtol=1e-4, atol=0)


@pytest.mark.parametrize("loss", [WeightedCrossEntropyLoss(), SoftmaxFocalLoss(), nn.CrossEntropyLoss()])
def test_the_loss_has_them_and_the_checkpoint_does_not(loss: nn.Module, tmp_path: Path) -> None:
    data = BreastCancerDataModule(batch_size=32)
    module = ImageClassifier(MLP(2, 30), SGD, loss)
    trainer = fit(tmp_path, module, data, ClassWeights())
    assert data.train_set is not None
    labels = data.train_set.images.targets[data.train_set.rows]
    expected = len(labels) / (2 * labels.bincount())
    found = loss.weight if isinstance(loss, nn.CrossEntropyLoss) else loss.class_weights
    torch.testing.assert_close(found, expected)
    assert not [name for name in module.state_dict() if name.startswith("loss.")]
    trainer.fit(module, data)  # a second fit of the same module counts again


def test_unlabelled_pixels_are_not_counted(tmp_path: Path) -> None:
    data = ShapeMasksDataModule(pictures=20, size=16, batch_size=4)
    module = Segmenter(UNet(4, 3, 4, 1), SGD, DiceLoss())
    fit(tmp_path, module, data, ClassWeights("effective"))
    assert data.train_set is not None
    masks = data.train_set.images.targets
    assert label_counts(data).sum() == masks.numel()
    masks[:, 0] = 255
    assert label_counts(data).sum() == masks[:, 1:].numel()
    ignored = masks.long().masked_fill(masks == 255, -100)
    data.train_set.images = data.train_set.images._replace(targets=ignored)
    assert label_counts(data).sum() == masks[:, 1:].numel()


def test_a_fit_counts_before_it_begins_and_not_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []

    def counting(data: Any) -> torch.Tensor:
        counted.append(trainer.global_step)
        return label_counts(data)

    monkeypatch.setattr("callbacks.class_weights.label_counts", counting)
    trainer = quiet_trainer(default_root_dir=tmp_path, max_epochs=3, callbacks=[ClassWeights()])
    module = ImageClassifier(MLP(2, 30), SGD, WeightedCrossEntropyLoss())
    trainer.fit(module, BreastCancerDataModule(batch_size=200))
    assert trainer.global_step > 3
    assert set(counted) == {0}


def folder(root: Path) -> ImageFolderDataModule:
    """Classes whose order as text, that of earlier versions, is not that of their values."""
    for number, (name, count) in enumerate((("1", 12), ("2", 24), ("10", 48))):
        for i in range(count):
            save_image(root / name / f"{i}.png", seed=100 * number + i)
    return ImageFolderDataModule(str(root), image_size=8, batch_size=16)


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_a_run_of_an_earlier_version_is_weighed_by_its_own_split(command: str, tmp_path: Path) -> None:
    """Its checkpoint brings another order of the classes and other training images, after the first count."""
    data, file = folder(tmp_path / "images"), tmp_path / "run.ckpt"

    def made(epochs: int) -> tuple[Trainer, ImageClassifier, WeightedCrossEntropyLoss]:
        loss = WeightedCrossEntropyLoss()
        module = ImageClassifier(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), SGD, loss, num_classes=3)
        trainer = quiet_trainer(default_root_dir=tmp_path, max_epochs=epochs, callbacks=[ClassWeights()])
        return trainer, module, loss

    trainer, module, loss = made(1)
    trainer.fit(module, data)
    assert loss.class_weights is not None
    assert loss.class_weights.argsort().tolist() == [2, 1, 0]
    trainer.save_checkpoint(file)
    state = torch.load(file, weights_only=False)
    for key in ("images", "class_names"):
        del state["ImageFolderDataModule"][key]
    torch.save(state, file)

    trainer, module, loss = made(2)
    data = folder(tmp_path / "images")
    getattr(trainer, command)(module, datamodule=data, ckpt_path=file, weights_only=False)
    assert data.class_names == ["1", "10", "2"]
    assert data.train_set is not None
    counts = data.train_set.images.targets[data.train_set.rows].bincount()
    assert counts.argsort().tolist() == [0, 2, 1]
    assert loss.class_weights is not None
    torch.testing.assert_close(loss.class_weights, counts.sum() / (3 * counts))


@pytest.mark.parametrize("loss", [nn.MultiLabelSoftMarginLoss(), WeightedCrossEntropyLoss()])
def test_several_labels_are_refused(loss: nn.Module, tmp_path: Path) -> None:
    """Counted as classes, their zeros and ones would become weights of the first two labels."""
    for i in range(12):
        save_image(tmp_path / f"{i}.png", seed=i)
    file = tmp_path / "labels.csv"
    file.write_text("\n".join(["path,x,y", *(f"{i}.png,{i % 2},{int(i % 3 == 0)}" for i in range(12))]))
    data = ImageFolderDataModule(str(tmp_path), image_size=8, batch_size=4, labels=str(file), several_labels=True)
    module = MultilabelClassifier(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), SGD, loss)
    with pytest.raises(UserError, match=r"are several labels, or numbers\. .* takes weights: model\.loss\.pos_weight"):
        fit(tmp_path, module, data, ClassWeights())


def test_user_errors(tmp_path: Path) -> None:
    data = BreastCancerDataModule(batch_size=32)
    with pytest.raises(UserError, match="SigmoidCrossEntropyLoss takes no class weights: choose"):
        fit(tmp_path, BinaryClassifier(MLP(1, 30), SGD), data, ClassWeights())
    with pytest.raises(UserError, match="BCEWithLogitsLoss takes no class weights: choose"):
        fit(tmp_path, BinaryClassifier(MLP(1, 30), SGD, nn.BCEWithLogitsLoss()), data, ClassWeights())
    weighted = WeightedCrossEntropyLoss([1.0, 2.0])
    with pytest.raises(UserError, match="already has weights: remove its class_weights"):
        fit(tmp_path, ImageClassifier(MLP(2, 30), SGD, weighted), data, ClassWeights())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(4, 30), torch.zeros(4).long()))
    with pytest.raises(UserError, match=r"give the loss its weights .* model\.loss\.class_weights"):
        fit(
            tmp_path,
            ImageClassifier(MLP(2, 30), SGD, WeightedCrossEntropyLoss(), num_classes=2),
            loader,
            ClassWeights(),
        )
    with pytest.raises(UserError, match="no training label is of class b, so it gets no weight"):
        class_weights(torch.tensor([3, 0]), "inverse", names=["a", "b"])


def test_arguments() -> None:
    with pytest.raises(ValueError, match="method must be one of inverse, effective; got 'squared'"):
        ClassWeights("squared")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"beta must be in \[0, 1\), got 1"):
        ClassWeights(beta=1)
