"""What the base module does with an optimizer: groups, skipped steps, schedule-free weights."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.optimizers import ParameterGroups
from lightning_modules.optimizers.schedule_free import ScheduleFreeWeights
from lightning_modules.schedulers import Cosine
from tests.lightning_modules.schedulers.support import loader

SGD = functools.partial(torch.optim.SGD, lr=0.01, weight_decay=0.1)


class SaveAtStep(Checkpoint):
    """Saves once, in the midst of the first epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        if trainer.global_step == 8:
            trainer.save_checkpoint(self.path)


def train(module: SupervisedModule, folder: Path, scale: float | None = None, ckpt_path: Path | None = None) -> Trainer:
    plugins: list[Any] = []
    if scale is not None:
        plugins.append(MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=scale)))
    trainer = Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=CSVLogger(folder, name="", version=""),
        log_every_n_steps=1,
        plugins=plugins,
        callbacks=[SaveAtStep(folder / "8.ckpt")],
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, loader(), loader(8), ckpt_path=ckpt_path, weights_only=True)
    return trainer


def regression(**arguments: Any) -> SupervisedModule:
    given: dict[str, Any] = {"optimizer": SGD, "channels_last": False} | arguments
    return SupervisedModule(nn.Linear(4, 1), nn.MSELoss(), **given)


def test_a_wrong_rate_is_refused_when_the_module_is_made() -> None:
    with pytest.raises(ValueError, match=r"SGD: lr must be ≥ 0, got -1\.0\."):
        regression(optimizer=functools.partial(torch.optim.SGD, lr=-1.0))


def test_parameter_groups_reach_the_optimizer_and_the_log(tmp_path: Path) -> None:
    trainer = train(regression(parameter_groups=ParameterGroups()), tmp_path)
    assert [group["weight_decay"] for group in trainer.optimizers[0].param_groups] == [0.1, 0.0]
    assert {"lr/decay", "lr/no decay"} <= set(trainer.callback_metrics)


def test_skipped_steps_are_logged_and_survive_a_resume(tmp_path: Path) -> None:
    trainer = train(regression(scheduler=Cosine()), tmp_path, scale=2.0**24)
    skipped = int(trainer.callback_metrics["skipped_steps"])
    scheduler: Any = trainer.lr_scheduler_configs[0].scheduler
    assert 0 < skipped < 20
    assert scheduler.last_epoch == 20 - skipped
    resumed = train(regression(scheduler=Cosine()), tmp_path, scale=1.0, ckpt_path=tmp_path / "8.ckpt")
    scheduler = resumed.lr_scheduler_configs[0].scheduler
    assert resumed.global_step == 20
    assert scheduler.last_epoch == 20 - int(resumed.callback_metrics["skipped_steps"])


def test_without_a_scaler_there_is_nothing_to_skip(tmp_path: Path) -> None:
    assert "skipped_steps" not in train(regression(), tmp_path).callback_metrics


def test_a_schedule_free_optimizer_brings_its_callback(tmp_path: Path) -> None:
    optimizer = functools.partial(schedulefree.AdamWScheduleFree, lr=0.01)
    trainer = train(regression(optimizer=optimizer), tmp_path)
    assert any(isinstance(callback, ScheduleFreeWeights) for callback in trainer.callbacks)  # type: ignore[attr-defined]
    assert trainer.optimizers[0].param_groups[0]["train_mode"] is False
