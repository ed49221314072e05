"""Checks on two GPUs: training runs of two processes with NCCL."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

from benchmarks.gpu.fits import process, short


def trains(config: str, *words: str) -> str:
    """Train on two GPUs and resume for another epoch; `callbacks/rank_guard.yaml` compares the ranks' weights."""
    both = [
        "--trainer.devices=2",
        f"--experiment={'_'.join(re.findall('[a-z0-9]+', ' '.join([config, *words])))[-60:]}",
    ]
    said = process(*short(config, "gpu", *both, *words))
    folder = next(line.split()[-1] for line in said.splitlines() if line.startswith("run folder"))
    process(*short("", "gpu", f"--ckpt_path={folder}", "--trainer.devices=2", *words, "--trainer.max_epochs=2"))
    line = next(line for line in reversed(said.splitlines()) if line.startswith("epoch"))
    return f"{line[:90]}; resumed"


GUARD = "--trainer.callbacks+=callbacks/rank_guard.yaml"
CHECKS_OF_TWO: dict[str, Callable[[], str]] = {
    "two devices, DDP": partial(trains, "quickstart", "--trainer.strategy=ddp", GUARD),
    "two devices, DDP, 16-mixed": partial(
        trains, "quickstart", "--trainer.strategy=ddp", "--trainer.precision=16-mixed", GUARD
    ),
    "two devices, SyncBatchNorm": partial(
        trains, "quickstart", "--trainer.strategy=ddp", "--trainer.sync_batchnorm=true", GUARD
    ),
    "two devices, GAN": partial(trains, "gan", "--trainer.strategy=ddp"),
    "two devices, FSDP1": partial(trains, "quickstart", "--trainer.strategy=strategies/fsdp.yaml"),
    "two devices, FSDP2": partial(trains, "quickstart", "--trainer.strategy=strategies/fsdp2.yaml"),
    "two devices, FSDP2, bf16-mixed": partial(
        trains, "quickstart", "--trainer.strategy=strategies/fsdp2.yaml", "--trainer.precision=bf16-mixed"
    ),
}
