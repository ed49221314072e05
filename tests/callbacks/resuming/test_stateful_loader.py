"""A loader with a `state_dict` continues where the checkpoint left it, also where a schedule has loaded the data."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from callbacks import ExactResume
from lightning_modules import ImageClassifier
from lightning_modules.schedulers import Cosine

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Loader:
    """Ten batches, numbered by their pixels, and the position among them."""

    def __init__(self) -> None:
        self.begin = self.index = 0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        begin, self.begin = self.begin, 0
        for self.index in range(begin, 10):
            yield torch.full((2, 1, 4, 4), float(self.index)), torch.tensor([0, 1])

    def __len__(self) -> int:
        return 10

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.index + 1}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.begin = state["next"]


class Other(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 2)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def ours() -> ImageClassifier:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    return ImageClassifier(network, partial(torch.optim.SGD, lr=0.1), scheduler=Cosine(), num_classes=2)


class Seen(Callback):
    def __init__(self, keep: Path | None = None) -> None:
        self.batches: list[int] = []
        self.keep = keep

    def on_train_batch_end(self, trainer: Trainer, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append(int(batch[0][0, 0, 0, 0]))
        if self.keep is not None and len(self.batches) == 2:
            trainer.save_checkpoint(self.keep)


def seen(module: LightningModule, keep: Path | None = None, resume: Path | None = None, **limits: Any) -> list[int]:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    record = Seen(keep if limits.pop("within", False) else None)
    trainer = Trainer(
        accelerator="cpu", enable_checkpointing=False, callbacks=[ExactResume(), record], **quiet, **limits
    )
    trainer.fit(module, Loader(), ckpt_path=resume)
    if keep is not None and record.keep is None:
        trainer.save_checkpoint(keep)
    return record.batches


@pytest.mark.parametrize("kind", [Other, ours])
def test_after_a_fit_that_max_steps_ended(kind: Any, tmp_path: Path) -> None:
    assert seen(kind(), tmp_path / "end.ckpt", max_steps=2) == [0, 1]
    assert seen(kind(), resume=tmp_path / "end.ckpt", max_steps=4) == [2, 3]


@pytest.mark.parametrize("kind", [Other, ours])
@pytest.mark.parametrize("limits", [{"max_epochs": 2, "limit_train_batches": 4}, {"max_steps": 8}])
def test_within_an_epoch(kind: Any, limits: dict[str, Any], tmp_path: Path) -> None:
    whole = seen(kind(), tmp_path / "two.ckpt", within=True, **limits)
    assert whole == [*range(4), *range(4)] if "max_epochs" in limits else [*range(8)]
    assert seen(kind(), resume=tmp_path / "two.ckpt", **limits) == whole[2:]


@pytest.mark.parametrize("kind", [Other, ours])
def test_the_next_epoch_begins_at_the_first_batch(kind: Any, tmp_path: Path) -> None:
    assert seen(kind(), tmp_path / "end.ckpt", max_epochs=1) == [*range(10)]
    assert seen(kind(), resume=tmp_path / "end.ckpt", max_epochs=2) == [*range(10)]
