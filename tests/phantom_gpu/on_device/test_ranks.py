"""Two ranks on two devices, with NCCL: every task by DDP, and sharded weights by FSDP1 and FSDP2, saved and resumed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from tests.phantom_gpu.counting import counted
from tests.phantom_gpu.on_device.fits import CONFIGS, STEPS, TASKS, fit, rows, task

BOTH = ["--trainer.devices=2"]
SHARDED = {"fsdp": "fsdp.yaml", "fsdp2": "fsdp2.yaml"}


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
@pytest.mark.parametrize("name", TASKS)
def test_ddp(name: str) -> None:
    with counted() as found:
        run = fit(task(name), "gpu", *BOTH, "--trainer.strategy=ddp")
    assert same_on_all_ranks(run.model)
    waits = found.waits(kinds=("stream_sync", "device_sync", "copy_sync"))  # DDP times its first ten steps by events
    usual = 2 if name == "gan" else 0  # DDP looks for the parameters that a step of one network does not use
    assert min(waits) == usual, found.lines()
    assert max(waits) <= usual + 1, found.lines()
    assert found.waits("validation")[0] == 0, found.lines("validation")


@pytest.mark.phantom_gpu(ranks=2, values=True)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("strategy", SHARDED)
def test_sharded(strategy: str, precision: str) -> None:
    words = [*BOTH, f"--trainer.strategy={CONFIGS}/strategies/{SHARDED[strategy]}", f"--trainer.precision={precision}"]
    run = fit(task("quickstart"), "gpu", *words)
    assert run.trainer.global_step == STEPS
    again = fit(["--ckpt_path=runs/quickstart/0"], "gpu", *words, "--trainer.max_epochs=2")
    assert again.trainer.global_step == 2 * STEPS


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
