"""LBFGS, which evaluates a batch several times in a step."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from datamodules import DigitsDataModule
from foundation.errors import UserError
from lightning_modules import ImageClassifier


def fitted(network: nn.Module, channels_last: bool = True, **flags: Any) -> Trainer:
    optimizer = partial(torch.optim.LBFGS, lr=0.1, max_iter=4)
    module = ImageClassifier(network, optimizer, channels_last=channels_last)
    quiet: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_train_batches=2,
        limit_val_batches=1,
        num_sanity_val_steps=0,
        **quiet,
        **flags,
    )
    trainer.fit(module, DigitsDataModule(batch_size=64))
    return trainer


def convolution() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 10))


def test_it_trains() -> None:
    torch.manual_seed(0)
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for network, channels_last in ((dense, True), (convolution(), False)):
        trainer = fitted(network, channels_last)
        assert trainer.global_step == 4
        assert trainer.callback_metrics["train/loss"] < 2.2


def test_channels_last_is_refused() -> None:
    with pytest.raises(UserError, match=r"--model.channels_last false"):
        fitted(convolution())


def test_accumulation_is_refused() -> None:
    with pytest.raises(UserError, match="would add all their gradients up"):
        fitted(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), accumulate_grad_batches=2)


@pytest.mark.parametrize("algorithm", ["norm", "value"])
def test_clipping_is_refused(algorithm: str) -> None:
    """With a norm clipped to 1 the quickstart's network stays at chance: the curvature is that of another function."""
    with pytest.raises(UserError, match=r"clipping falsifies: set --trainer.gradient_clip_val null"):
        fitted(nn.Linear(64, 10), gradient_clip_val=1.0, gradient_clip_algorithm=algorithm)
