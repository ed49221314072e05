"""The averaged weights are validated, saved and kept after training; a resumed run gives identical results."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import schedulefree
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from lightning_modules.optimizers import build_optimizer
from lightning_modules.optimizers.schedule_free import TRAINED, ScheduleFreeWeights, schedule_free
from tests.lightning_modules.schedulers.support import Scheduled, fit
from tests.lightning_modules.schedulers.test_resume import SaveEverywhere


class ScheduleFree(Scheduled):
    """The regression of the schedule tests with a schedule-free optimizer and its callback."""

    def __init__(self) -> None:
        super().__init__(None)
        self.validated: list[torch.Tensor] = []

    def configure_callbacks(self) -> list[Callback]:
        return [ScheduleFreeWeights()]

    def configure_optimizers(self) -> Any:
        return build_optimizer(functools.partial(schedulefree.AdamWScheduleFree, lr=0.05), self)

    def on_validation_epoch_start(self) -> None:
        self.validated.append(self.net.weight.detach().clone())

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        scheduler.step()


class Average(Callback):
    """Computes the average x as in the paper: x ← (1 - c) x + c z."""

    def __init__(self) -> None:
        self.x: torch.Tensor | None = None
        self.steps = 0

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        weight: Any = pl_module.net.weight  # type: ignore[union-attr]
        z = trainer.optimizers[0].state[weight]["z"].double()
        self.steps += 1
        self.x = z if self.x is None else self.x + (z - self.x) / self.steps


def test_the_average_is_validated_saved_and_kept_after_training(tmp_path: Path) -> None:
    module, average = ScheduleFree(), Average()
    fit(module, tmp_path, average, SaveEverywhere(tmp_path), max_epochs=2)
    saved = torch.load(tmp_path / "20.ckpt", weights_only=True)
    assert average.x is not None
    for weight in (module.validated[-1], saved["state_dict"]["net.weight"], module.net.weight.detach()):
        torch.testing.assert_close(weight.double(), average.x, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(saved[TRAINED]["net.weight"].double(), average.x, atol=1e-4)


@pytest.mark.parametrize("step", [10, 20])
def test_a_resumed_run_ends_with_the_same_bits(step: int, tmp_path: Path) -> None:
    whole, resumed = ScheduleFree(), ScheduleFree()
    fit(whole, tmp_path, SaveEverywhere(tmp_path), max_epochs=3)
    fit(resumed, tmp_path, max_epochs=3, ckpt_path=str(tmp_path / f"{step}.ckpt"))
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, resumed.state_dict()[name]), name


def test_saving_changes_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    saving = ScheduleFree()
    torch.manual_seed(0)
    plain = ScheduleFree()
    fit(saving, tmp_path, SaveEverywhere(tmp_path))
    fit(plain, tmp_path)
    assert torch.equal(saving.net.weight, plain.net.weight)


def test_a_checkpoint_in_the_middle_of_an_epoch_holds_both_sets_of_weights(tmp_path: Path) -> None:
    fit(ScheduleFree(), tmp_path, SaveEverywhere(tmp_path), max_epochs=1)
    saved = torch.load(tmp_path / "5.ckpt", weights_only=True)
    assert set(saved[TRAINED]) == {"net.weight", "net.bias"}
    optimizer = saved["optimizer_states"][0]
    assert optimizer["param_groups"][0]["train_mode"] is True
    x, y, z = saved["state_dict"]["net.weight"], saved[TRAINED]["net.weight"], optimizer["state"][0]["z"]
    torch.testing.assert_close(y, 0.9 * x + 0.1 * z)


def test_other_optimizers_are_not_affected(tmp_path: Path) -> None:
    trainer = fit(Scheduled(None), tmp_path, ScheduleFreeWeights(), SaveEverywhere(tmp_path), max_epochs=1)
    assert TRAINED not in torch.load(tmp_path / "10.ckpt", weights_only=True)
    assert not schedule_free(trainer.optimizers[0])
    assert schedule_free(schedulefree.SGDScheduleFree)


def test_sgd_is_saved_with_its_average(tmp_path: Path) -> None:
    class WithSGD(ScheduleFree):
        def configure_optimizers(self) -> Any:
            return build_optimizer(functools.partial(schedulefree.SGDScheduleFree, lr=0.05), self)

    fit(WithSGD(), tmp_path, SaveEverywhere(tmp_path), max_epochs=1)
    saved = torch.load(tmp_path / "5.ckpt", weights_only=True)
    x, y = saved["state_dict"]["net.weight"], saved[TRAINED]["net.weight"]
    torch.testing.assert_close(y, 0.9 * x + 0.1 * saved["optimizer_states"][0]["state"][0]["z"])
