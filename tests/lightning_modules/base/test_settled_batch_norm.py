"""In a short run the statistics of batch norm are those of the weights that are validated."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from callbacks import EMA, ExactResume, Freeze
from lightning_modules import ImageClassifier
from lightning_modules.base.settled_batch_norm import SettledBatchNorm
from tests.datamodules.support import MadeUp


class Note(Callback):
    """Keep the statistics that are validated, and those of all training images with the same weights."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor]] = []

    def on_validation_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.sanity_checking:
            return
        network: Any = pl_module.network
        batches = trainer.datamodule.plain_training_batches(10**6, torch.device("cpu"))  # type: ignore[attr-defined]
        features = network[0](torch.cat(list(batches)))
        self.pairs.append((network[1].running_mean.clone(), features.mean((0, 2, 3)).detach()))


def classifier(momentum: float = 0.1) -> ImageClassifier:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(2, momentum=momentum)
    network = nn.Sequential(nn.Conv2d(3, 2, 1), norm, nn.Flatten(), nn.Dropout(0.5), nn.Linear(32, 2))
    return ImageClassifier(network, partial(torch.optim.SGD, lr=1.0))


def fit(module: ImageClassifier, folder: Path, *extra: Callback, epochs: int = 2, **kwargs: Any) -> None:
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=epochs,
        callbacks=[ExactResume(seed=0), *extra], default_root_dir=folder, enable_checkpointing=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=MadeUp(train=60, batch_size=9, seed=0), **kwargs)


@pytest.mark.parametrize("average", [False, True])
def test_validation_has_the_statistics_of_its_weights(tmp_path: Path, average: bool) -> None:
    note = Note()
    fit(classifier(), tmp_path, note, *([EMA(0.9)] if average else []))
    assert len(note.pairs) == 2
    for settled, expected in note.pairs:
        torch.testing.assert_close(settled, expected)


def test_a_run_that_is_long_enough_keeps_the_running_statistics(tmp_path: Path) -> None:
    note = Note()
    fit(classifier(momentum=0.9), tmp_path, note, epochs=3)  # 18 steps, above 15 / 0.9
    assert not torch.allclose(*note.pairs[-1], atol=1e-3)


def test_frozen_layers_keep_theirs(tmp_path: Path) -> None:
    module = classifier()
    norm = module.network.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    norm.requires_grad_(False)
    callback = SettledBatchNorm()
    fit(module, tmp_path, callback)
    before = norm.state_dict()["running_mean"].clone()
    callback.on_validation_epoch_start(module.trainer, module)
    assert callback.layers == [norm]
    assert torch.equal(norm.state_dict()["running_mean"], before)


@pytest.mark.parametrize(("until", "silent"), [(0.0, 0), (0.5, 2), (1.0, 3)])
def test_it_is_said_when_it_is_done(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, until: float, silent: int
) -> None:
    """While batch norm is frozen nothing is computed, and nothing is said."""
    texts: list[str] = []

    class Epochs(Callback):
        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            texts.append(caplog.text)

    fit(classifier(), tmp_path, Freeze(until, "train"), Epochs())
    counts = [text.count("before each validation") for text in [*texts, caplog.text]]
    assert counts == [0] * silent + [1] * (3 - silent)


class Save(Callback):
    """Save in the middle of the second epoch."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if trainer.global_step == 8:
            trainer.save_checkpoint(self.file)


def test_a_resumed_run_gives_the_same_weights_and_statistics(tmp_path: Path) -> None:
    file = tmp_path / "middle.ckpt"
    whole = classifier()
    fit(whole, tmp_path, EMA(0.9), Save(file))
    resumed = classifier()
    fit(resumed, tmp_path, EMA(0.9), ckpt_path=str(file))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_run_of_an_earlier_version_ends_as_it_began(tmp_path: Path) -> None:
    file = tmp_path / "middle.ckpt"
    whole = classifier()
    fit(whole, tmp_path, SettledBatchNorm(windows=0), Save(file))
    checkpoint = torch.load(file, weights_only=True)
    del checkpoint["callbacks"]["SettledBatchNorm"]
    torch.save(checkpoint, file)
    resumed = classifier()
    fit(resumed, tmp_path, ckpt_path=str(file))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    with_pass = classifier()
    fit(with_pass, tmp_path)
    without = classifier()
    fit(without, tmp_path, SettledBatchNorm(windows=0))
    for name, value in with_pass.named_parameters():
        assert torch.equal(value, without.get_parameter(name)), name
    statistics = [module.state_dict()["network.1.running_mean"] for module in (with_pass, without)]
    assert not torch.equal(*statistics)
