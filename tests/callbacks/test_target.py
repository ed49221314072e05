"""A run that has reached its target ends, is saved, and says in how many seconds and samples."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from callbacks import DurableCheckpoint, ExactResume, Target
from callbacks.monitored_values import MonitoredValues
from callbacks.target import parse_target
from cli import main
from datamodules import Pruning
from foundation.errors import UserError
from tests.datamodules.memory.pruning.test_runs import classifier
from tests.datamodules.support import MadeUp, quiet_trainer


class Planned(LightningModule):
    """Logs the next of these values at each validation."""

    def __init__(self, *values: float, name: str = "val/accuracy") -> None:
        super().__init__()
        self.layer, self.left, self.name = torch.nn.Linear(48, 2), list(values), name

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch[0].flatten(1)).square().mean()
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing."""

    def on_validation_epoch_end(self) -> None:
        self.log(self.name, self.left[0] if self.trainer.sanity_checking else self.left.pop(0))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(target: Target, module: LightningModule, folder: Path, data: Any = None, **kwargs: Any) -> Any:
    data = data or MadeUp(batch_size=15)
    saver = DurableCheckpoint(monitor=target.monitor, mode=target.mode)
    trainer = quiet_trainer(
        **{
            "max_epochs": 5,
            "enable_checkpointing": True,
            "callbacks": [target, saver, ExactResume(seed=0)],
            "default_root_dir": folder,
        }
        | kwargs
    )
    trainer.fit(module, data)
    return trainer


@pytest.mark.parametrize(
    ("target", "values", "epochs"),
    [
        (Target("val/accuracy", 0.9), (0.5, 0.89, 0.9, 1.0, 1.0), 3),
        (Target("val/accuracy", 0.9, "max"), (0.95, 1.0), 1),
        (Target("val/loss", 0.2), (0.5, 0.2), 2),
        (Target("val/elbo", 3.0, "max"), (1.0, 4.0), 2),
    ],
)
def test_the_run_ends_at_the_first_validation_that_reaches_it(
    target: Target, values: tuple[float, ...], epochs: int, tmp_path: Path
) -> None:
    trainer = fit(target, Planned(*values, name=target.monitor), tmp_path)
    result = json.loads((tmp_path / "target.json").read_text())
    assert trainer.global_step == epochs * 6
    assert (result["reached"], result["epochs"], result["steps"]) == (True, epochs, epochs * 6)
    assert result["samples"] == epochs * 90
    assert result["value"] == pytest.approx(values[epochs - 1])
    assert 0 < result["seconds"] < 300
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == epochs * 6
    assert (target.told() or "").startswith(f"{target.monitor} {target.sign} {target.value:g} reached after ")


def test_within_an_epoch(tmp_path: Path) -> None:
    trainer = fit(
        target := Target("val/accuracy", 0.9), Planned(0.5, 0.5, 0.5, 0.95, 0.95), tmp_path, val_check_interval=2
    )
    assert target.reached
    assert target.result is not None
    assert (trainer.global_step, target.result["samples"], target.result["epochs"]) == (8, 120, 2)
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 8


def test_a_target_that_is_not_reached_is_said(tmp_path: Path) -> None:
    target = Target("val/accuracy", 0.9)
    trainer = fit(target, Planned(0.5, 0.6), tmp_path, max_epochs=2)
    assert trainer.global_step == 12
    assert json.loads((tmp_path / "target.json").read_text())["reached"] is False
    assert "val/accuracy ≥ 0.9 not reached after" in (target.told() or "")
    assert (target.told() or "").endswith("(12 steps, epoch 2): 0.6000")


def test_a_resumed_run_counts_what_was_done_before(tmp_path: Path) -> None:
    fit(first := Target("val/accuracy", 0.9), Planned(0.5, 0.5), tmp_path, max_epochs=2)
    target, saver = Target("val/accuracy", 0.9), DurableCheckpoint(monitor="val/accuracy", mode="max")
    resumed = quiet_trainer(
        max_epochs=5, enable_checkpointing=True, callbacks=[target, saver], default_root_dir=tmp_path / "again"
    )
    path = tmp_path / "checkpoints" / "last.ckpt"
    resumed.fit(Planned(0.95), MadeUp(batch_size=15), ckpt_path=path)
    assert target.result is not None
    assert first.result is not None
    assert target.result["samples"] == 270
    assert target.result["seconds"] > first.result["seconds"]


def test_the_samples_of_a_pruned_run_are_those_it_was_trained_on(tmp_path: Path) -> None:
    data = MadeUp(batch_size=15, pruning=Pruning(0.3))
    fit(target := Target("val/loss", 1e-9), classifier(), tmp_path, data=data, max_epochs=2)
    assert target.result is not None
    assert target.result["samples"] == 2 * 4 * 15


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("val/accuracy", "--target is 'val/accuracy', expected the name of a metric, = and a number"),
        ("val/accuracy=high", "'high' is no number"),
        ("val/accuracy=nan", "--target must be finite, got nan"),
        ("train/loss=0.1", "--target must be on a validation metric such as val/accuracy, got 'train/loss'"),
    ],
)
def test_other_texts(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("val/elbo=1", "not known whether a larger or a smaller value of it is better: give --target 'val/elbo>=1' or"),
        (
            "val/accuracy<=0.9",
            "with mode min, but a larger accuracy is better: give --target 'val/accuracy>=",
        ),
        ("val/f1=0.9", "Target monitors 'val/f1', which is not logged"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_training(text: str, message: str, tmp_path: Path) -> None:
    module = classifier()
    module.optimizer = partial(torch.optim.SGD, lr=0.1)
    target = parse_target(text)
    trainer = quiet_trainer(max_epochs=1, callbacks=[MonitoredValues(), target])
    with pytest.raises(UserError, match=message):
        trainer.fit(module, MadeUp(batch_size=15))
    assert trainer.global_step == 0


def test_a_run_without_validation_has_no_target(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not validate: .* or remove the target"):
        fit(Target("val/accuracy", 0.9), Planned(), tmp_path, limit_val_batches=0)


def test_the_command_line_ends_the_run_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "-c", "quickstart.yaml", "--trainer.accelerator=cpu", "--trainer.max_epochs=4", "--target"]
    main([*words, "val/accuracy=0.05", "--trainer.limit_train_batches=4"])
    printed = capsys.readouterr().out
    assert "target      val/accuracy ≥ 0.05 reached after " in printed
    assert "and 256 samples (4 steps, epoch 1): 0." in printed
    assert "resume" not in printed
    assert json.loads(Path("runs/quickstart/0/target.json").read_text())["reached"] is True
