"""The mean of the weights at the end of a run, in the module, in validation and on the disk."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel, RandomDataset
from torch.utils.data import DataLoader

from callbacks import SWA, DurableCheckpoint
from foundation.errors import UserError

QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "limit_train_batches": 4,
    "limit_val_batches": 1,
}


class Note(Callback):
    """Keep the weights after each step, and those that are validated."""

    def __init__(self) -> None:
        self.trained: list[torch.Tensor] = []
        self.validated: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.trained.append(pl_module.layer.weight.detach().clone())  # type: ignore[union-attr,operator]

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        self.validated.append(pl_module.layer.weight.detach().clone())  # type: ignore[union-attr,operator]


def test_module_validation_and_checkpoint_have_the_mean(tmp_path: Path) -> None:
    note, module = Note(), BoringModel()
    callbacks = [note, SWA(start=0.5), DurableCheckpoint(monitor=None)]
    Trainer(max_epochs=2, callbacks=callbacks, default_root_dir=tmp_path, **QUIET).fit(module)
    mean = torch.stack(note.trained[4:]).mean(0)
    assert torch.allclose(module.layer.weight, mean)
    assert torch.allclose(note.validated[-1], mean)
    assert torch.equal(note.validated[-2], note.trained[3]), "the plain weights before it starts"
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert torch.equal(saved["state_dict"]["layer.weight"], module.layer.weight)
    assert torch.equal(saved["current_model_state"]["layer.weight"], note.trained[-1])


class StopAfterTwoEpochs(Callback):
    """End the first of two fits."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch == 1


def test_a_resumed_run_gives_the_same_mean(tmp_path: Path) -> None:
    batches = DataLoader(RandomDataset(32, 8), batch_size=2)
    start = BoringModel().state_dict()

    def fitted(folder: Path, *others: Callback, **options: Any) -> tuple[SWA, BoringModel]:
        module, average = BoringModel(), SWA(0.4)
        module.load_state_dict(start)
        callbacks = [average, DurableCheckpoint(monitor=None), *others]
        trainer = Trainer(max_epochs=3, callbacks=callbacks, default_root_dir=folder, **QUIET)
        trainer.fit(module, batches, batches, **options)
        return average, module

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    average, module = fitted(whole)
    fitted(cut, StopAfterTwoEpochs())
    resumed, same = fitted(cut, ckpt_path=str(cut / "checkpoints" / "last.ckpt"))
    assert average.updates == resumed.updates == 7
    assert torch.equal(module.layer.weight, same.layer.weight)


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"start must be in \(0, 1\)"):
        SWA(start=1.0)
    with pytest.raises(UserError, match="SWA needs the length of the run"):
        Trainer(max_epochs=-1, callbacks=[SWA()], default_root_dir=tmp_path, **QUIET).fit(BoringModel())
