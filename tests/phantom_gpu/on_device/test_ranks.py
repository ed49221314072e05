"""Two ranks on two devices, with NCCL: DDP of every task, FSDP1 and FSDP2, and a signal to one of the ranks."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from tests.phantom_gpu.counting import counted
from tests.phantom_gpu.on_device.fits import TASKS, fit, rows, task

BOTH = ["--trainer.devices=2"]
DDP = [*BOTH, "--trainer.strategy=strategies/ddp.yaml"]
FSDP1 = [*BOTH, "--trainer.strategy=strategies/fsdp.yaml"]
FSDP2 = [*BOTH, "--trainer.strategy=strategies/fsdp2.yaml"]
HALF = ["--trainer.precision=bf16-true"]
FEW = ["--trainer.limit_train_batches=4", "--trainer.limit_val_batches=1", "--preflight=false"]
STRATEGIES = {
    "ddp": DDP,
    "fsdp1": FSDP1,
    "fsdp2": FSDP2,
    "fsdp1 bf16-true": FSDP1 + HALF,
    "fsdp2 bf16-true": FSDP2 + HALF,
}


@pytest.fixture(autouse=True)
def _shared_folder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All ranks work in one folder; it exists only where the test runs on the phantom GPU."""
    if "PHANTOM_SHARED" in os.environ:
        monkeypatch.chdir(request.getfixturevalue("shared_path"))


class Stop(Callback):
    """Send SIGTERM to rank 1 in the middle of the epoch."""

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: Any) -> None:
        if trainer.global_rank == 1 and trainer.global_step == 2:
            os.kill(os.getpid(), signal.SIGTERM)


def local(weight: Any) -> Tensor:
    return (weight.to_local() if hasattr(weight, "to_local") else weight).detach().cpu()


def same_on_all_ranks(module: torch.nn.Module) -> bool:
    weights = torch.cat([weight.detach().flatten().float().cuda() for weight in module.parameters()])
    gathered = [torch.empty_like(weights) for _ in range(2)]
    torch.distributed.all_gather(gathered, weights)
    return torch.equal(gathered[0].cpu(), gathered[1].cpu())


@pytest.mark.phantom_gpu(ranks=2, values=True)
@pytest.mark.parametrize("name", TASKS)
def test_ddp(name: str) -> None:
    with counted() as found:
        run = fit(task(name, "--preflight=false"), "gpu", *DDP)
    assert same_on_all_ranks(run.model)
    waits = found.waits(kinds=("stream_sync", "device_sync", "copy_sync"))  # DDP times its first ten steps by events
    usual = 2 if name == "gan" else 0  # DDP asks twice which parameters no rank has used: of each network in its turn
    assert min(waits) == usual, found.lines()
    assert max(waits) <= usual + 1, found.lines()
    assert found.waits("validation")[0] == 0, found.lines("validation")


@pytest.mark.phantom_gpu(ranks=2, values=True)
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_signal_to_one_rank_ends_both_and_the_run_resumes(name: str, rank: int) -> None:
    """The resumed run takes the batches that are left, and ends with the same weights and rows."""
    words = [*STRATEGIES[name], *FEW, "--trainer.gradient_clip_val=0.1"]
    whole = fit(task("quickstart"), "gpu", *words, "--experiment=whole")
    fit([*task("quickstart"), f"--trainer.callbacks+={__name__}.Stop"], "gpu", *words, "--experiment=ended", status=143)
    ended = fit(["--ckpt_path=runs/ended/0"], "gpu", *words)
    assert ended.trainer.global_step == whole.trainer.global_step
    dtype = torch.bfloat16 if "bf16" in name else torch.float32
    for mine, theirs in zip(ended.model.parameters(), whole.model.parameters(), strict=True):
        assert mine.dtype == dtype
        assert torch.equal(local(mine), local(theirs))
    if rank == 0:
        assert rows(ended.run.folder)[-1] == rows(whole.run.folder)[-1]


@pytest.mark.phantom_gpu(ranks=2, values=True)
def test_shards_train_as_copies_do(rank: int) -> None:
    found = {}
    for name in ("ddp", "fsdp1", "fsdp2"):
        words = [
            *STRATEGIES[name],
            *FEW,
            "--trainer.gradient_clip_val=0.1",
            "--trainer.callbacks+=callbacks/gradient_norm.yaml",
            "--trainer.callbacks+=lightning_modules.base.settled_batch_norm.SettledBatchNorm",
            "--trainer.callbacks.windows=0",  # which sharded weights do not have
        ]
        run = fit(task("quickstart"), "gpu", *words, f"--experiment={name}")
        if rank == 0:
            found[name] = rows(run.run.folder)
    for name in list(found)[1:]:
        assert len(found[name]) == len(found["ddp"])
        for mine, theirs in zip(found[name], found["ddp"], strict=True):
            assert {"epoch", "step"} < mine.keys() & theirs.keys()
            assert mine == pytest.approx({key: theirs[key] for key in mine}, rel=1e-4)
