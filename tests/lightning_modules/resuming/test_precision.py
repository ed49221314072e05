"""A resume, a test and initial weights keep every bit of weights in 16 and 64 bit."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn

from callbacks import EMA, DurableCheckpoint, ExactResume
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def classifier(**options: Any) -> ImageClassifier:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
    return ImageClassifier(network, partial(torch.optim.AdamW, lr=0.01), **options)


class Other(LightningModule):
    """A module that is not derived from ours: only `ExactResume` prepares it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def trainer(folder: Path, precision: Any, epochs: int = 1) -> Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return Trainer(
        accelerator="cpu", precision=precision, max_epochs=epochs, limit_train_batches=2, limit_val_batches=1,
        num_sanity_val_steps=0, limit_test_batches=1, default_root_dir=folder,
        callbacks=[EMA(0.9), ExactResume(), DurableCheckpoint(None, dirpath=folder)], **quiet,
    )  # fmt: skip


def fitted(module: LightningModule, folder: Path, precision: str, epochs: int, resume: Path | None = None) -> Any:
    torch.manual_seed(0)
    running = trainer(folder, precision, epochs)
    running.fit(module, DigitsDataModule(batch_size=32), ckpt_path=resume)
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "16-true"])
@pytest.mark.parametrize("kind", [classifier, Other])
def test_a_resume_has_the_same_bits(kind: Any, precision: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    whole = fitted(kind(), tmp_path / "whole", precision, 2)
    torch.manual_seed(1)
    fitted(kind(), tmp_path / "half", precision, 1)
    again = fitted(kind(), tmp_path / "half", precision, 2, tmp_path / "half" / "last.ckpt")
    differing = [name for name, value in whole.items() if not torch.equal(value, again[name])]
    assert not differing


def test_64_bit_weights_are_tested_and_taken_unrounded(tmp_path: Path) -> None:
    trained = fitted(classifier(), tmp_path, "64-true", 1)
    assert not torch.equal(trained["network.0.weight"], trained["network.0.weight"].float())
    tested, begun = classifier(), classifier(weights=str(tmp_path / "last.ckpt"))
    trainer(tmp_path, "64-true").test(tested, DigitsDataModule(), ckpt_path=tmp_path / "last.ckpt")
    trainer(tmp_path, "64-true").validate(begun, DigitsDataModule(), verbose=False)
    for module in (tested, begun):
        state = module.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in trained.items())
