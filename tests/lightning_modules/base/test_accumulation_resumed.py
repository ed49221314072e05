"""Accumulation after a resume within a window, and with several processes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from torch import Tensor, nn

from callbacks import ExactResume
from lightning_modules.base.supervised import SupervisedModule
from tests.datamodules.support import quiet_trainer
from tests.lightning_modules.base.accumulation_case import (
    UNEVEN,
    Batches,
    Gradients,
    Loader,
    batches,
    fit,
    gradient_of,
    network,
    windows_of,
)
from tests.ranks.processes import ddp, in_processes


class SaveInAWindow(Callback):
    """Saves after the second batch of the last window."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 6 and trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


class Resumable(LightningDataModule):
    """Skips the seven batches that the checkpoint's run has seen, as Descent's data modules do."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches, self.first = batches, 0

    def train_dataloader(self) -> "Resumable":
        return self

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        first, self.first = self.first, 0  # at the first batch: Lightning makes iterators that it does not use
        yield from self.batches[first:]

    def state_dict(self) -> dict[str, int]:
        return {"first": 7}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.first = state["first"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("ignored", [None, -100])
def test_a_resume_in_the_middle_of_a_window(tmp_path: Path, ignored: int | None) -> None:
    data = batches(UNEVEN, "classes", ignored)
    path = tmp_path / "window.ckpt"

    def run(resume: Path | None, *extra: Callback) -> list[Tensor]:
        # double: Lightning loads a checkpoint before it converts the module for 64-true
        module = SupervisedModule(network().double(), nn.CrossEntropyLoss(), partial(torch.optim.SGD, lr=0.1))
        watch = Gradients()
        options: dict[str, Any] = {"max_epochs": 2, "precision": "64-true", "accumulate_grad_batches": 5}
        trainer = quiet_trainer(**options, default_root_dir=tmp_path, callbacks=[*extra, ExactResume(seed=1), watch])
        trainer.fit(module, Resumable(data), ckpt_path=resume)
        return watch.seen

    whole = run(None, SaveInAWindow(path))
    resumed = run(path)
    assert len(whole) == 4
    assert len(resumed) == 3
    assert all(torch.equal(found, other) for found, other in zip(resumed, whole[1:], strict=True))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_of_an_earlier_version_keeps_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = batches((4,) * 5, "numbers")
    path = tmp_path / "earlier.ckpt"
    module = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    module.accumulation.exact = False
    options: dict[str, Any] = {"precision": "64-true", "accumulate_grad_batches": 4}
    trainer = quiet_trainer(max_epochs=1, **options)
    trainer.fit(module, Loader(data))
    trainer.save_checkpoint(path)
    assert "accumulation" not in torch.load(path, weights_only=False)
    watch = Gradients()
    again = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    quiet_trainer(max_epochs=2, **options, callbacks=[watch]).fit(again, Loader(data), ckpt_path=path)
    torch.testing.assert_close(watch.seen[-1], gradient_of(nn.MSELoss(), data[4:]) / 4)
    assert not again.accumulation.state_dict(again.trainer)


def of_rank(rank: int, count: int, folder: str) -> list[Tensor]:
    sizes = UNEVEN if rank == 0 else (1, 4, 2, 4, 3, 2, 4, 1)
    data = batches(sizes, "classes", -100, seed=rank)
    return fit(nn.CrossEntropyLoss(), data, 3, strategy=ddp(), devices=count)


def test_two_processes_have_the_gradient_of_all_their_samples(tmp_path: Path) -> None:
    first, second = in_processes(2, of_rank, tmp_path)
    mine, other = batches(UNEVEN, "classes", -100), batches((1, 4, 2, 4, 3, 2, 4, 1), "classes", -100, seed=1)
    for window, (found, same) in enumerate(zip(first, second, strict=True)):
        assert torch.equal(found, same)
        both = windows_of(mine, 3)[window] + windows_of(other, 3)[window]
        torch.testing.assert_close(found, gradient_of(nn.CrossEntropyLoss(), both), rtol=1e-6, atol=1e-9)
