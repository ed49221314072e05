"""Two ranks on two devices, with NCCL: DDP, and a signal to one of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.phantom_gpu.counting import counted
from tests.phantom_gpu.on_device.fits import fit, rows, task

BOTH = ["--trainer.devices=2"]


@pytest.fixture(autouse=True)
def _shared_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ranks work in one folder; it exists only where the test runs on the phantom GPU."""
    if "PHANTOM_SHARED" in os.environ:
        monkeypatch.chdir(request.getfixturevalue("shared_path"))


class Stop(Callback):
    """Send SIGTERM to rank 1 in the middle of the epoch."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 5:
            os.kill(os.getpid(), signal.SIGTERM)


def same_on_all_ranks(module: torch.nn.Module) -> bool:
    weights = torch.cat([weight.detach().flatten().float().cuda() for weight in module.parameters()])
    gathered = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(gathered, weights)
    return torch.equal(gathered[0].cpu(), gathered[1].cpu())


@pytest.mark.phantom_gpu(ranks=2, values=True)
@pytest.mark.parametrize("name", ["quickstart"])
def test_ddp(name: str) -> None:
    with counted() as found:
        run = fit(task(name), "gpu", *BOTH, "--trainer.strategy=ddp")
    assert same_on_all_ranks(run.model)
    waits = found.waits(kinds=("stream_sync", "device_sync", "copy_sync"))  # DDP times its first ten steps by events
    assert min(waits) == 0, found.lines()
    assert max(waits) <= 1, found.lines()
    assert found.waits("validation")[0] == 0, found.lines("validation")


@pytest.mark.phantom_gpu(ranks=2, values=True)
def test_a_signal_to_one_rank_ends_both_and_the_run_resumes(shared_path: Path, rank: int) -> None:
    words = [*BOTH, "--trainer.strategy=ddp"]
    whole = fit(task("quickstart"), "gpu", *words, "--experiment=whole")
    fit([*task("quickstart"), f"--trainer.callbacks+={__name__}.Stop"], "gpu", *words, "--experiment=ended", status=143)
    ended = fit(["--ckpt_path=runs/ended/0"], "gpu", *words)
    assert ended.trainer.global_step == whole.trainer.global_step
    for mine, theirs in zip(ended.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(mine.cpu(), theirs.cpu())
    if rank == 0:
        assert rows(ended.run.folder)[-1] == rows(whole.run.folder)[-1]
