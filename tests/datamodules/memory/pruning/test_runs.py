"""Runs with data pruning: resume, workers, resident data, accumulation, mixing, and what cannot be pruned."""

import copy
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from callbacks import ExactResume
from datamodules import CropFlip, MixUp, Pruning
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.losses import WeightedCrossEntropyLoss
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import MadeUp, Recorder, quiet_trainer
from tests.phantom_gpu.counting import WARM, counted

EPOCHS, BATCHES = 5, 4  # of 90 training images 63, in batches of 15; epoch 1 and the last one in turn


class Net(nn.Module):
    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(48, 2))

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.layers(images)
        return output


def classifier(**kwargs: Any) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier(Net(kwargs.pop("dropout", 0.2)), partial(torch.optim.SGD, lr=0.1, momentum=0.9), **kwargs)


def data(**kwargs: Any) -> MadeUp:
    arguments: dict[str, Any] = {"batch_size": 15, "augmentation": CropFlip(1, flip="alternating")}
    arguments |= {"pruning": Pruning(0.3, 0.2, 0.2)}
    return MadeUp(seed=11, **(arguments | kwargs))


class Batches(Callback):
    """Record what the step gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, tuple[Tensor, ...]]] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append((trainer.current_epoch, tuple(part.clone() for part in batch)))

    def rows(self, epoch: int) -> Tensor:
        return torch.cat([batch[3] for when, batch in self.seen if when == epoch])


def fit(folder: Path | None = None, module: LightningModule | None = None, **kwargs: Any) -> tuple[Batches, Any, Any]:
    seen, module = Batches(), module or classifier()
    used = data(**kwargs.pop("data", {}))
    path = kwargs.pop("ckpt_path", None)
    saves = [] if folder is None else [SaveEverywhere(folder)]
    trainer = quiet_trainer(
        **{"max_epochs": EPOCHS, "num_sanity_val_steps": 0, "callbacks": [ExactResume(seed=1), seen, *saves]} | kwargs
    )
    trainer.fit(module, used, ckpt_path=path)
    return seen, module, used


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Batches, Any, Any]:
    folder = tmp_path_factory.mktemp("checkpoints")
    return folder, *fit(folder)


def assert_same_end(seen: Batches, module: Any, used: Any, reference: tuple[Path, Batches, Any, Any]) -> None:
    _, whole, expected, expected_data = reference
    done = len(whole.seen) - len(seen.seen)
    for (epoch, batch), (expected_epoch, expected_batch) in zip(seen.seen, whole.seen[done:], strict=True):
        assert epoch == expected_epoch
        assert len(batch) == len(expected_batch)
        assert all(map(torch.equal, batch, expected_batch))
    for name, value in expected.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    states = [each.sample_choice.state_dict()["pruning"] for each in (used, expected_data)]
    assert torch.equal(states[0]["losses"], states[1]["losses"])
    assert torch.equal(states[0]["choice"], states[1]["choice"])


@pytest.mark.parametrize("step", [2, 4, 6, 7, 8, 13, 17])
def test_resumed_at_a_batch_it_ends_with_the_same_bits(step: int, reference: Any) -> None:
    results = fit(ckpt_path=reference[0] / f"{step}.ckpt")
    assert len(results[0].seen) == EPOCHS * BATCHES - step
    assert_same_end(*results, reference)


@pytest.mark.parametrize("how", [{"num_workers": 2}, {"device_resident": True}])
def test_workers_and_resident_data_change_nothing(how: dict[str, Any], reference: Any) -> None:
    assert_same_end(*fit(data=how, ckpt_path=reference[0] / "6.ckpt"), reference)


def test_every_epoch_has_the_same_length_and_the_last_ones_are_ordinary(reference: Any) -> None:
    _, seen, _, used = reference
    lengths = [len([epoch for epoch, _ in seen.seen if epoch == e]) for e in range(EPOCHS)]
    assert lengths == [BATCHES] * EPOCHS
    kinds = [{len(batch) for epoch, batch in seen.seen if epoch == e} for e in range(EPOCHS)]
    assert kinds == [{4}, {4}, {4}, {4}, {2}], "weights, except in the last part"
    assert all((batch[2] == 1).all() for epoch, batch in seen.seen if epoch == 0)
    weights = used.sample_choice.pruning.weights(90)
    for epoch in (1, 2, 3):
        assert set(seen.rows(epoch).tolist()) <= set(used.train_set.rows.tolist())
        assert len(seen.rows(epoch).unique()) == BATCHES * 15
        found = torch.cat([batch[2] for when, batch in seen.seen if when == epoch]).unique()
        assert found.tolist() == weights[2:].tolist()


def test_a_checkpoint_holds_five_bytes_a_sample(reference: Any) -> None:
    state = torch.load(reference[0] / "6.ckpt", weights_only=True)["MadeUp"]["pruning"]
    assert {name: (len(state[name]), state[name].dtype) for name in ("losses", "choice")} == {
        "losses": (90, torch.float32),
        "choice": (90, torch.int8),
    }
    assert state["epoch"] == 1


def test_the_losses_are_those_of_the_last_step_of_a_sample() -> None:
    """With a rate of 0 every loss is that of the untrained network."""
    module = classifier(dropout=0.0)
    module.optimizer = partial(torch.optim.SGD, lr=0.0)
    seen, module, used = fit(module=module, data={"augmentation": None})
    images, targets, rows = used.train_set.__getitems__(list(range(90)))
    outputs = module(used.prepare_batch((images, targets, rows), training=False)[0])
    expected = nn.functional.cross_entropy(outputs, targets, reduction="none")
    losses = used.sample_choice.state_dict()["pruning"]["losses"]
    torch.testing.assert_close(losses[losses.isfinite()], expected[losses.isfinite()].detach())
    assert losses.isfinite().sum() >= 60
    epochs = [[batch for when, batch in seen.seen if when == epoch] for epoch in range(EPOCHS)]
    assert all(len(epoch) == BATCHES for epoch in epochs)


def test_a_ratio_of_0_is_the_ordinary_run_bit_for_bit() -> None:
    (_, first, _), (_, second, _) = fit(data={"pruning": Pruning(0.0)}), fit(data={"pruning": None})
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


@pytest.mark.parametrize(("loss", "warmup"), [(None, 0.2), (WeightedCrossEntropyLoss([1.0, 3.0]), 1.0)])
def test_accumulated_batches_train_like_one_large_batch(loss: nn.Module | None, warmup: float) -> None:
    """With weights of classes only where all samples have the weight 1: the mean weight of each batch is a factor."""
    ends = []
    for size, count in ((30, 1), (15, 2)):
        module = classifier(dropout=0.0, loss=copy.deepcopy(loss))
        settings = {"batch_size": size, "pruning": Pruning(0.3, warmup, 0.0)}
        trained = fit(module=module, data=settings, accumulate_grad_batches=count, max_epochs=4)[1]
        ends.append(torch.cat([parameter.detach().flatten() for parameter in trained.parameters()]))
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-6)


def test_logged_means_are_those_of_what_was_seen() -> None:
    class Losses(Callback):
        def __init__(self) -> None:
            self.batches: list[tuple[float, float]] = []

        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            with torch.no_grad():
                output = pl_module(batch[0])
            right = (output.argmax(dim=1) == batch[1]).float().mean()
            self.batches.append((float(nn.functional.cross_entropy(output, batch[1])), float(right)))

    losses, trainer_values = Losses(), []

    class Values(Callback):
        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            trainer_values.append({name: float(value) for name, value in trainer.callback_metrics.items()})

    fit(
        module=classifier(dropout=0.0), callbacks=[losses, Values()], max_epochs=3, data={"pruning": Pruning(0.3, 0, 0)}
    )
    last = torch.tensor(losses.batches[-BATCHES:]).mean(dim=0)
    assert trainer_values[0]["train/loss"] == pytest.approx(float(last[0]), abs=1e-5)
    assert trainer_values[0]["train/accuracy"] == pytest.approx(float(last[1]), abs=1e-5)


def test_images_are_mixed_in_the_other_epochs_only() -> None:
    seen, _, used = fit(data={"augmentation": MixUp(1.0)}, max_epochs=6)
    for epoch, batch in seen.seen:
        mixed = bool(((batch[1] > 0) & (batch[1] < 1)).any())
        assert mixed == (not used.sample_choice.prunes(epoch)), epoch
        assert batch[1].ndim == 2, "the targets have one form in the whole run"
        assert (len(batch) == 4) == used.sample_choice.prunes(epoch), "a mixed image has no loss of its own"


def test_a_trial_on_a_copy_neither_prunes_nor_changes_the_losses(reference: Any) -> None:
    used = copy.copy(reference[3])
    assert used.sample_choice.pruning is None
    assert reference[3].sample_choice.pruning is not None


@pytest.mark.phantom_gpu(values=True, poisoned=True)
@pytest.mark.parametrize("how", [{"device_resident": "auto"}, {"device_resident": False}])
def test_a_step_does_not_wait_for_the_device(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The losses are read once an epoch, when its first batch is asked for."""
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    with counted() as found:
        _, module, used = fit(accelerator="gpu", devices=1, data=how, module=classifier(dropout=0.0))
    assert used.sample_choice.prunes(2)
    assert len(found.steps) == EPOCHS * BATCHES
    waits = dict(enumerate(found.waits(), start=WARM))
    assert {step: count for step, count in waits.items() if step % BATCHES and count} == {}, found.lines()
    assert max(waits.values()) <= 2, found.lines()
    _, expected, _ = fit(module=classifier(dropout=0.0))
    for value, other in zip(module.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(value.detach().cpu(), other.detach(), rtol=1e-4, atol=1e-5)


# -- what cannot be pruned ---------------------------------------------------------------------------------------------


class Own(ImageClassifier):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        inputs, target = batch
        return super().criterion(self(inputs), target)


class OwnCriterion(ImageClassifier):
    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, target)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return itertools.repeat((torch.zeros(3, 4, 4, dtype=torch.uint8), torch.tensor(0), torch.tensor(0)), 30)


class Streamed(MadeUp):
    def train_dataloader(self) -> Any:
        return DataLoader(Stream(), batch_size=15)


def of_class(kind: type[ImageClassifier]) -> ImageClassifier:
    return kind(Net(), partial(torch.optim.SGD, lr=0.1))


@pytest.mark.parametrize(
    ("module", "settings", "message"),
    [
        (Recorder(), {}, "data.pruning is 0.3, but Recorder does not weigh the samples of a batch: remove"),
        (of_class(Own), {}, "Own does not weigh the samples of a batch"),
        (of_class(OwnCriterion), {}, r"OwnCriterion.criterion does not call super\(\).criterion"),
        (None, {"max_epochs": -1}, "shares of the run, whose length is not known: set trainer.max_epochs"),
        (None, {"overfit_batches": 1}, "trainer.overfit_batches trains on the same batches in each epoch"),
    ],
)
def test_what_cannot_be_pruned_is_one_line(module: Any, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        fit(module=module, **settings)
    assert "\n" not in str(error.value)


def test_an_iterable_data_set_cannot_be_pruned() -> None:
    with pytest.raises(UserError, match="come from another loader than that of ImageDataModule"):
        quiet_trainer(max_epochs=2).fit(classifier(), Streamed(batch_size=15, pruning=Pruning(0.3)))


def test_without_a_trainer_there_is_nobody_to_weigh() -> None:
    used = data()
    used.setup("fit")
    with pytest.raises(UserError, match=r"data.pruning needs a Trainer"):
        used.train_dataloader()


@pytest.mark.parametrize("pruning", [Pruning(0.5, 0.2, 0.2), None])
def test_resumed_within_an_epoch_of_other_samples(pruning: Pruning | None, reference: Any, tmp_path: Path) -> None:
    if pruning is None:  # the checkpoint is of an ordinary run
        fit(tmp_path, data={"pruning": None}, max_epochs=2)
        folder, pruning = tmp_path, Pruning(0.3, 0.2, 0.2)
    else:
        folder = reference[0]
    with pytest.raises(UserError, match=r"saved within epoch 2, with another data.pruning.ratio: resume with that"):
        fit(ckpt_path=folder / "7.ckpt", data={"pruning": pruning})


def test_the_losses_of_other_data_are_not_used(reference: Any, recwarn: pytest.WarningsRecorder) -> None:
    fit(ckpt_path=reference[0] / "8.ckpt", data={"train": 80}, max_epochs=3)
    assert any("losses of 90 samples, the data has 72 training samples" in str(w.message) for w in recwarn)
