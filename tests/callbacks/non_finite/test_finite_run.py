"""A run that diverges ends with an error that says what to do, and does not save what diverged."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks import DurableCheckpoint
from callbacks.non_finite.finite_run import FiniteRun
from foundation.errors import UserError


class Line(LightningModule):
    """Linear regression with a loss of which the test decides when it is NaN."""

    def __init__(self, rate: float = 0.1, nan_from: int = 10**9, trains: bool = True) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.rate, self.nan_from, self.trains = rate, nan_from, trains

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.layer(batch[0]).square().mean()
        wrong = self.current_epoch >= self.nan_from
        self.log("train/loss", loss * math.nan if wrong else loss, on_epoch=True, on_step=False)
        return loss * math.nan if wrong and self.trains else loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.rate)


def fit(folder: Path, module: LightningModule, **options: Any) -> None:
    trainer = Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[FiniteRun(), DurableCheckpoint(monitor=None, save_top_k=0)], **{"max_epochs": 3, **options},
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(torch.ones(4, 2)), batch_size=2))


def test_weights_that_became_nan_end_the_run_before_they_are_saved(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"diverged: in epoch 2 weights .* \(2 parameters, the first is layer\.weight\)"
    ):
        fit(tmp_path, Line(nan_from=1))
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0
    assert saved["state_dict"]["layer.weight"].isfinite().all()


def test_the_advice_is_of_this_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Lower .*lr \(it is 0\.25\), clip gradients with .*black_box\.yaml"):
        fit(tmp_path, Line(rate=0.25, nan_from=0))
    with pytest.raises(UserError, match=r"Lower .*lr \(it is 0\.5\), or find the cause"):
        fit(tmp_path / "clipped", Line(rate=0.5, nan_from=0), gradient_clip_val=1.0)


class Dead(Line):
    """Its gradient is 0, which Adam divides by eps."""

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return 0 * super().training_step(batch, batch_idx)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), eps=0.0)


def test_an_eps_of_0_is_named_and_not_the_rate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"became NaN .* An eps of 0 divides .* set --model\.optimizer\.eps"):
        fit(tmp_path, Dead())


class Still(Line):
    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=self.rate, eps=0.0)


def test_an_eps_of_0_is_not_blamed_where_the_weights_are_finite(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"losses of its last epoch are not finite: train/loss is nan\. Lower .* 0\.1\)"
    ):
        fit(tmp_path, Still(nan_from=2, trains=False))


def test_a_loss_that_ends_as_nan_is_an_error_though_the_weights_are_finite(tmp_path: Path) -> None:
    """As with a gradient scaler that skips every step."""
    with pytest.raises(UserError, match=r"losses of its last epoch are not finite: train/loss is nan\. Lower"):
        fit(tmp_path, Line(nan_from=2, trains=False))


def test_a_finite_run_passes(tmp_path: Path) -> None:
    fit(tmp_path, Line())
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()
