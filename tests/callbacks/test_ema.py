"""The average of the weights: its values, its warm-up, what is validated and saved, and its resume."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import cli
from callbacks import EMA
from foundation.errors import UserError
from tests.datamodules.support import quiet_trainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Walk(LightningModule):
    """One weight that the training step moves by 1; a float buffer that holds it, and a count."""

    copied: Tensor
    count: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
        self.register_buffer("copied", torch.zeros(1, dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("unsaved", torch.zeros(1), persistent=False)
        self.validated: list[float] = []

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(TensorDataset(torch.zeros(10)))

    val_dataloader = train_dataloader

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        self.copied.copy_(self.weight.detach())
        self.count.add_(1)
        return -self.weight.sum()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self.validated.append(self.weight.item())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


def fit(average: Callback | None, folder: Path | None = None, resume: Path | None = None, **flags: Any) -> Walk:
    module = Walk()
    options = {"max_epochs": 1, "num_sanity_val_steps": 0, "limit_val_batches": 1} | flags
    callbacks = [*([average] if average else []), *options.pop("extra", [])]
    quiet_trainer(**options, callbacks=callbacks, default_root_dir=folder).fit(module, ckpt_path=resume)
    return module


def by_hand(updates: Iterator[int] | range, decay: float, warmup: bool = True) -> float:
    average = 0.0
    for t, weight in enumerate(updates):
        beta = (min(decay, (1 + t) / (37 + t)) if warmup else decay) if t else 0.0
        average = beta * average + (1 - beta) * weight
    return average


@pytest.mark.parametrize("decay", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("warmup", [True, False])
def test_values(decay: float, warmup: bool) -> None:
    module = fit(EMA(decay, warmup))
    expected = by_hand(range(1, 11), decay, warmup)
    assert module.weight.item() == pytest.approx(expected, rel=1e-12)
    assert module.copied.item() == pytest.approx(expected - 1, rel=1e-12, abs=1e-12)
    assert module.count.item() == 10
    assert module.validated == [module.weight.item()]


def test_without_warm_up_it_is_lightnings() -> None:
    module, theirs = fit(EMA(0.9, warmup=False)), fit(EMAWeightAveraging(decay=0.9))
    assert module.weight.item() == pytest.approx(theirs.weight.item(), rel=1e-12)


def test_steps_between_updates_and_the_first_one() -> None:
    average = EMA(0.5, update_every_n_steps=3, update_starting_at_step=2)
    module = fit(average)
    assert average.updates == 3
    assert module.weight.item() == pytest.approx(by_hand(iter((4, 7, 10)), 0.5))


def test_before_the_first_update_validation_uses_the_plain_weights() -> None:
    module = fit(EMA(update_starting_at_step=10), val_check_interval=5)
    assert module.validated == [5.0, 10.0]
    assert module.weight.item() == 10


def test_buffers_that_are_not_averaged_are_copied() -> None:
    assert fit(EMA(0.5, use_buffers=False)).copied.item() == 9


class Save(Callback):
    def __init__(self, path: Path, hook: str, number: int) -> None:
        self.path, self.left = path, number
        setattr(self, hook, self.save)

    def save(self, trainer: Any, *_: Any) -> None:
        self.left -= 1
        if self.left == 0:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_batch_end", "on_validation_end"])
def test_a_resume_has_the_same_bits(tmp_path: Path, hook: str) -> None:
    path = tmp_path / "point.ckpt"
    flags: dict[str, Any] = {"max_epochs": 3, "val_check_interval": 5}
    whole = fit(EMA(0.9), tmp_path, extra=[Save(path, hook, 10 if hook == "on_train_batch_end" else 2)], **flags)
    saved = torch.load(path, weights_only=True)
    assert saved["current_model_state"]["weight"].item() == 10
    assert saved["state_dict"]["weight"].item() == pytest.approx(by_hand(range(1, 11), 0.9))
    again = fit(EMA(0.9), tmp_path, path, **flags)
    assert torch.equal(again.weight, whole.weight)
    assert torch.equal(again.copied, whole.copied)


def test_after_the_fit_its_average_is_saved_with_the_trained_weights(tmp_path: Path) -> None:
    module = Walk()
    trainer = quiet_trainer(max_epochs=1, limit_val_batches=0, callbacks=[EMA(0.9)], default_root_dir=tmp_path)
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)
    assert saved["current_model_state"]["weight"].item() == 10
    assert torch.equal(saved["state_dict"]["weight"], module.weight.detach())
    trainer.validate(module)
    assert torch.equal(saved["state_dict"]["weight"], module.weight.detach())


def test_a_checkpoint_of_lightnings_average_continues_with_a_constant_decay(tmp_path: Path) -> None:
    path = tmp_path / "theirs.ckpt"
    whole = fit(EMAWeightAveraging(decay=0.9), tmp_path, extra=[Save(path, "on_train_epoch_end", 1)], max_epochs=2)
    average = EMA(0.9)
    again = fit(average, tmp_path, path, max_epochs=2)
    assert again.weight.item() == pytest.approx(whole.weight.item(), rel=1e-12)
    assert average.updates == 20
    assert not average.state_dict()["warmup"]


def test_a_run_of_an_earlier_version_keeps_its_warm_up() -> None:
    average = EMA(0.99)
    assert average.state_dict()["warmup"] == 36
    average.load_state_dict({"updates": 5, "latest_update_step": 5, "warmup": True})
    assert average.decay_at(5) == pytest.approx(6 / 15)
    average.load_state_dict(average.state_dict())
    assert average.decay_at(5) == pytest.approx(6 / 15)


def test_a_step_reads_nothing_from_the_device() -> None:
    """A meta tensor has no values: reading one raises."""
    module, average = Walk().to("meta"), EMA(0.9)
    for _ in range(3):
        average.update(module)
    assert average.updates == 3


def test_wrong_arguments_and_sharded_weights() -> None:
    for options, message in (
        ({"decay": 1.0}, r"decay must be in \[0, 1\), got 1.0"),
        ({"update_every_n_steps": 0}, "update_every_n_steps must be ≥ 1, got 0"),
        ({"update_starting_at_step": -1}, "update_starting_at_step must be ≥ 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            EMA(**options)  # type: ignore[arg-type]
    trainer = type("Stub", (), {"strategy": ModelParallelStrategy()})
    with pytest.raises(UserError, match="ModelParallelStrategy shards"):
        EMA().setup(trainer, Walk(), "fit")  # type: ignore[arg-type]


def test_the_preset_averages_the_quickstart_from_its_first_epochs(tmp_path: Path, monkeypatch: Any) -> None:
    """A constant decay of 0.99 has an accuracy of 0.15 there: the first weights are still a third of the average."""
    monkeypatch.chdir(tmp_path)
    words = [
        "fit",
        "-c",
        "configs/quickstart.yaml",
        "--trainer.callbacks+=callbacks/ema.yaml",
        "--seed_everything",
        "1",
    ]
    words += ["--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    assert float(cli.main(words).trainer.callback_metrics["val/accuracy"]) > 0.9
