"""In two processes the run length is that of one process, and the learning rates stay equal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from foundation.errors import UserError
from lightning_modules.schedulers import Cosine, Plateau, observe_plateaus
from tests.lightning_modules.schedulers.support import Rates, Scheduled, fit
from tests.ranks.processes import started

PATIENCE = 120


class StartedElsewhere(LightningEnvironment):
    """Both processes are running already: Lightning must not start any."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


class Ranked(Scheduled):
    """Logs a validation loss that differs by rank, reduced over the ranks or not."""

    def __init__(self, scheduler: Any, synced: bool) -> None:
        super().__init__(scheduler)
        self.synced = synced

    def on_validation_epoch_end(self) -> None:
        rank = float(self.global_rank)
        falling = 1.0 - 0.1 * self.current_epoch  # on one rank the loss falls, on the other it rises
        value: Tensor = torch.tensor(falling if rank == 0 else 2.0 - falling)
        self.log("val/loss", value, sync_dist=self.synced)
        observe_plateaus(self)


def run(rank: int, folder: str) -> None:
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for name, module in {
        "synced": Ranked(Plateau(patience=0), synced=True),
        "cosine": Ranked(Cosine(), synced=True),
        "unsynced": Ranked(Plateau(patience=0), synced=False),
    }.items():
        rates = Rates()
        strategy = DDPStrategy(cluster_environment=StartedElsewhere(), process_group_backend="gloo")
        try:
            fit(module, Path(folder), rates, strategy=strategy, devices=2, max_epochs=4, num_sanity_val_steps=0)
        except UserError as error:
            found["message"] = str(error)
        found[name] = rates.lr
        found[f"{name} steps"] = module.run_length.steps
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    context = started(run, (str(folder),))
    try:
        assert context.join(timeout=PATIENCE) or context.join(timeout=PATIENCE), "the ranks wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_the_length_is_that_of_a_rank(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert found["cosine steps"] == len(found["cosine"]) == 20  # ten batches an epoch, five on each rank


def test_a_reduced_value_gives_equal_rates(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["synced"] == ranks[1]["synced"]
    assert ranks[0]["synced"][-1] == pytest.approx(0.1 * 0.5**2)  # the mean stays 1: no validation is better


def test_a_value_that_differs_between_ranks_ends_the_run(ranks: list[dict[str, Any]]) -> None:
    for found in ranks:
        assert "'val/loss' differs between processes (0.9, 1.1 on ranks 0-1)" in found["message"]
        assert "sync_dist=True" in found["message"]
