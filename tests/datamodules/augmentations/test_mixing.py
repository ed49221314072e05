"""MixUp and CutMix against torchvision's arithmetic and SciPy's distribution, as functions of seed, epoch and batch."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from scipy import stats
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import v2

from cli import main
from datamodules import (
    BreastCancerDataModule,
    Chain,
    CropFlip,
    CutMix,
    DigitsDataModule,
    MixUp,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from datamodules.augmentations.mixing import Mixing, covered, interval
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier
from lightning_modules.losses import SigmoidFocalLoss, SoftmaxFocalLoss, WeightedCrossEntropyLoss
from lightning_modules.networks import SmallCNN

ROWS = torch.arange(1000, 1012)
SGD = partial(torch.optim.SGD, lr=0.05)


def batch() -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    images = torch.randn(12, 3, 9, 7, generator=g).contiguous(memory_format=torch.channels_last)
    return images, torch.randint(0, 5, (12,), generator=g)


def torchvisions(transform: Any, images: Tensor, labels: Tensor, params: dict[str, Any]) -> tuple[Tensor, Tensor]:
    given = params | {"labels": labels, "batch_size": len(labels)}
    return transform.transform(images, given), transform.transform(labels, given)


def hot(labels: Tensor) -> Tensor:
    return nn.functional.one_hot(labels, 5).float()


def test_mixup_equals_torchvision_for_the_same_share_and_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = batch()
    mixup = MixUp(alpha=1.0)
    share = mixup.share(ROWS, seed=3, epoch=2)
    monkeypatch.setattr(mixup, "partners", lambda *_: torch.arange(12).roll(1))
    mixed, targets = mixup.mix(images, hot(labels), ROWS, seed=3, epoch=2)
    expected = torchvisions(v2.MixUp(num_classes=5), images, labels, {"lam": share.item()})
    torch.testing.assert_close(mixed, expected[0], rtol=0, atol=1e-6)
    torch.testing.assert_close(targets, expected[1], rtol=0, atol=1e-6)
    assert mixed.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("epoch", range(6))
def test_cutmix_equals_torchvision_for_the_same_share_box_and_pairs(
    epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = batch()
    cutmix = CutMix(alpha=1.0)
    share = cutmix.share(ROWS, seed=3, epoch=epoch).item()
    monkeypatch.setattr(cutmix, "partners", lambda *_: torch.arange(12).roll(1))
    mixed, targets = cutmix.mix(images, hot(labels), ROWS, seed=3, epoch=epoch)
    changed = (mixed != images).any(1).any(0)
    boxes = {}
    for x, y in np.ndindex(7, 9):  # torchvision's boxes of this share, by their centre
        half = 0.5 * math.sqrt(1 - share)
        x1, y1 = max(x - int(half * 7), 0), max(y - int(half * 9), 0)
        boxes[x, y] = (x1, y1, min(x + int(half * 7), 7), min(y + int(half * 9), 9))
    centre = next(c for c, (x1, y1, x2, y2) in boxes.items() if torch.equal(changed, inside(x1, y1, x2, y2)))
    x1, y1, x2, y2 = box = boxes[centre]
    adjusted = 1.0 - (x2 - x1) * (y2 - y1) / 63
    expected = torchvisions(v2.CutMix(num_classes=5), images, labels, {"box": box, "lam_adjusted": adjusted})
    assert torch.equal(mixed, expected[0])
    torch.testing.assert_close(targets, expected[1], rtol=0, atol=1e-6)


def inside(x1: int, y1: int, x2: int, y2: int) -> Tensor:
    mask = torch.zeros(9, 7, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_a_box_has_the_size_of_its_share_and_is_cut_at_the_edge() -> None:
    half = torch.tensor(0.25)  # of the side, each way
    assert covered(8, *interval(8, torch.tensor([4]), half)).tolist() == [False] * 2 + [True] * 4 + [False] * 2
    assert covered(8, *interval(8, torch.tensor([0]), half)).tolist() == [True] * 2 + [False] * 6
    assert not covered(8, *interval(8, torch.tensor([4]), torch.tensor(0.0))).any()
    assert covered(8, *interval(8, torch.tensor([4]), torch.tensor(0.5))).all()
    assert interval(8, torch.tensor([7]), half)[1] == 8


class NoDoubles(TorchDispatchMode):
    """Refuse float64, as MPS does."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        assert getattr(result, "dtype", None) != torch.float64, func
        return result


def test_boxes_need_no_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.arange(2000)
    exact = CutMix().boxes(rows, 32, 24, seed=1, epoch=2)
    monkeypatch.setattr("datamodules.augmentations.mixing.widest_float", lambda device: torch.float32)
    cutmix = CutMix()
    cutmix.shares(rows, seed=1, epoch=2)  # the table of quantiles is computed on the host
    with NoDoubles():
        single = cutmix.boxes(rows, 32, 24, seed=1, epoch=2)
    assert single.dtype == torch.float32
    assert torch.equal(single[:4].double(), exact[:4])
    images, targets = batch()
    monkeypatch.setattr(cutmix, "draws", lambda name, draw, key, rows: draw(rows))
    with NoDoubles():
        cutmix.mix(images, hot(targets), ROWS, seed=0, epoch=0)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
def test_shares_follow_the_beta_distribution(alpha: float) -> None:
    mixup = MixUp(alpha)
    shares = [mixup.share(torch.tensor([row]), seed=1, epoch=row % 7).item() for row in range(3000)]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3


def test_pairs_are_uniform_permutations() -> None:
    rows = torch.arange(5)
    permutations = [MixUp().partners(rows, seed=0, epoch=epoch) for epoch in range(2000)]
    assert all(sorted(permutation.tolist()) == [0, 1, 2, 3, 4] for permutation in permutations[:50])
    counts = torch.stack([torch.bincount(torch.stack(permutations)[:, i], minlength=5) for i in range(5)])
    assert stats.chisquare(counts.flatten().numpy()).pvalue > 1e-3


def test_the_share_of_mixed_batches_is_the_probability() -> None:
    cutmix = CutMix(alpha=1.0, probability=0.3)
    mixed = sum(cutmix.share(torch.tensor([row]), seed=0, epoch=0).item() < 1 for row in range(3000))
    assert stats.binomtest(mixed, 3000, 0.3).pvalue > 1e-3


@pytest.mark.parametrize("kind", [MixUp, CutMix])
def test_depends_on_seed_epoch_and_batch_only(kind: type[MixUp] | type[CutMix]) -> None:
    images, labels = batch()

    def mixed(mixing: Mixing, rows: Tensor, seed: int, epoch: int) -> Tensor:
        torch.rand(3)  # whatever was drawn before
        return torch.cat([part.flatten() for part in mixing.mix(images, hot(labels), rows, seed, epoch)])

    first = mixed(kind(1.0), ROWS, 0, 0)
    assert torch.equal(first, mixed(kind(1.0), ROWS, 0, 0))
    for other in ((ROWS, 1, 0), (ROWS, 0, 1), (ROWS + 1, 0, 0)):  # other rows: another batch, or another process's
        assert not torch.equal(first, mixed(kind(1.0), *other))


def test_a_chain_mixes_after_it_has_cropped() -> None:
    data = DigitsDataModule(batch_size=32, augmentation=Chain([CropFlip(1), MixUp(1.0)]), seed=1)
    cropped = DigitsDataModule(batch_size=32, augmentation=CropFlip(1), seed=1)
    data.setup("fit")
    raw = next(iter(data.train_dataloader()))
    images, targets = data.prepare_batch(raw, training=True, epoch=4)
    plain, classes = cropped.prepare_batch(raw, training=True, epoch=4)
    expected = MixUp(1.0).mix(plain, nn.functional.one_hot(classes, 10).float(), raw[2], 1, 4)
    torch.testing.assert_close((images, targets), expected, rtol=0, atol=0)
    assert targets.shape == (32, 10)
    torch.testing.assert_close(targets.sum(1), torch.ones(32))
    evaluated = data.prepare_batch(raw, training=False)
    assert torch.equal(evaluated[1], raw[1])


class Seen(Callback):
    """Keeps every training batch."""

    def __init__(self) -> None:
        self.batches: list[tuple[Tensor, Tensor]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append((batch[0].clone(), batch[1].clone()))


def fit(
    module: Any, data: Any, folder: Path, *callbacks: Callback, resume: Path | None = None, **options: Any
) -> Trainer:
    trainer = Trainer(
        default_root_dir=folder,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        limit_val_batches=1,
        **{"max_epochs": 1, "limit_train_batches": 4} | options,
    )
    trainer.fit(module, data, ckpt_path=resume)
    return trainer


LOSSES = [nn.CrossEntropyLoss(label_smoothing=0.1), WeightedCrossEntropyLoss(), SoftmaxFocalLoss(), SigmoidFocalLoss()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
def test_losses_take_the_soft_targets_and_accuracy_counts_the_larger_share(loss: nn.Module, tmp_path: Path) -> None:
    seen = Seen()
    module = ImageClassifier(SmallCNN(10, 1, 4), SGD, loss)
    trainer = fit(module, DigitsDataModule(batch_size=32, augmentation=MixUp(1.0)), tmp_path, seen)
    assert all(targets.shape == (32, 10) for _, targets in seen.batches)
    assert trainer.callback_metrics["train/loss"].isfinite()
    assert 0 <= trainer.callback_metrics["train/accuracy"] <= 1
    output, target = torch.tensor([[2.0, 0, 0]]), torch.tensor([[0.6, 0.4, 0]])
    assert module.batch_metrics(output, target)["accuracy"] == 1


def test_multilabel_and_binary_targets_are_mixed_too(tmp_path: Path) -> None:
    labels = ShapeLabelsDataModule(pictures=64, size=16, batch_size=16, augmentation=CutMix())
    seen = Seen()
    fit(MultilabelClassifier(SmallCNN(3, 3, 4), SGD), labels, tmp_path, seen)
    assert seen.batches[0][1].dtype == torch.float32
    assert seen.batches[0][1].shape == (16, 3)
    module = BinaryClassifier(SmallCNN(1, 3, 4), SGD)
    logits, shares = torch.tensor([0.3, -2.0]), torch.tensor([[0.2, 0.8], [0.9, 0.1]])
    expected = nn.functional.binary_cross_entropy_with_logits(logits, shares[:, 1])
    torch.testing.assert_close(module.criterion(logits, shares), expected)
    assert module.batch_metrics(logits, shares)["accuracy"] == 1


def test_a_run_resumed_mid_epoch_mixes_identically(tmp_path: Path) -> None:
    def run(seen: Seen, *callbacks: Callback, resume: Path | None = None) -> None:
        torch.manual_seed(0)
        module = ImageClassifier(SmallCNN(10, 1, 4), SGD)
        data = DigitsDataModule(batch_size=32, augmentation=MixUp(1.0), seed=2)
        fit(module, data, tmp_path, seen, *callbacks, limit_train_batches=6, resume=resume)

    whole, rest = Seen(), Seen()
    run(whole, LambdaCallback(on_train_batch_end=save_at_two(tmp_path / "mid.ckpt")))
    run(rest, resume=tmp_path / "mid.ckpt")
    assert len(whole.batches) == 6
    torch.testing.assert_close(rest.batches, whole.batches[2:], rtol=0, atol=0)


def save_at_two(path: Path) -> Callable[..., None]:
    def save(trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(path)

    return save


def test_a_loss_that_takes_only_class_numbers_raises(tmp_path: Path) -> None:
    module = ImageClassifier(SmallCNN(10, 1, 4), SGD, nn.MultiMarginLoss())
    with pytest.raises(UserError, match=r"MultiMarginLoss takes class numbers, but MixUp gives shares"):
        fit(module, DigitsDataModule(augmentation=MixUp()), tmp_path)


@pytest.mark.parametrize("kind", [BreastCancerDataModule, ShapeMasksDataModule])
def test_masks_and_tables_cannot_be_mixed(kind: Any) -> None:
    with pytest.raises(ValueError, match=f"CutMix mixes images, which the targets of {kind.__name__} do not allow"):
        kind(augmentation=CutMix())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0.0}, "alpha must be > 0, got 0"),
        ({"alpha": float("nan")}, "alpha must be > 0, got nan"),
        ({"probability": 1.1}, r"probability must be in \[0, 1\], got 1.1"),
    ],
)
def test_bad_arguments(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixUp(**arguments)


@pytest.mark.parametrize("preset", ["mixup", "cutmix"])
def test_is_switched_on_from_the_command_line(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    short = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--trainer.limit_val_batches=1"]
    words = ["fit", "-c", "configs/quickstart.yaml", "--data.augmentation", f"augmentations/{preset}.yaml", *short]
    run = main([*words, "--model.loss", "losses/focal.yaml"])
    assert run.trainer.global_step == 2
    assert type(run.datamodule.augmentation) is {"mixup": MixUp, "cutmix": CutMix}[preset]
