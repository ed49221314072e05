"""Data pruning in two processes: both choose the same samples, by the losses of both, and resume exactly."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules import Pruning
from lightning_modules import ImageClassifier
from tests.datamodules.memory.pruning.test_runs import Batches
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import MadeUp, quiet_trainer
from tests.ranks.processes import ddp, in_processes

SETTINGS: dict[str, Any] = {"max_epochs": 4, "num_sanity_val_steps": 0}


def train(processes: int, folder: Path | None = None, path: str | None = None) -> dict[str, Any]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    module, seen = ImageClassifier(network, partial(torch.optim.SGD, lr=0.1)), Batches()
    data = MadeUp(train=112, seed=5, batch_size=14 // processes, pruning=Pruning(0.29, 0.0, 0.0))
    parallel = {"strategy": ddp(), "devices": processes} if processes > 1 else {}
    saves = [SaveEverywhere(folder)] if folder is not None else []
    quiet_trainer(callbacks=[seen, *saves], **SETTINGS, **parallel).fit(module, data, ckpt_path=path)
    return {
        "rows": [(epoch, batch[3]) for epoch, batch in seen.seen],
        "weights": torch.cat([parameter.detach().flatten() for parameter in module.parameters()]),
        "state": data.state_dict()["pruning"],  # combines the losses of the processes: each of them asks
    }


def in_one_process(rank: int, count: int, folder: str) -> list[dict[str, Any]]:
    whole = train(count, Path(folder))
    return [whole, train(count, path=f"{folder}/7.ckpt")]


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    return in_processes(2, in_one_process, tmp_path_factory.mktemp("ranks"))


def rows(result: dict[str, Any], epoch: int) -> Tensor:
    return torch.cat([batch for when, batch in result["rows"] if when == epoch])


def test_the_processes_share_an_epoch_and_know_all_losses(ranks: list[list[dict[str, Any]]]) -> None:
    (first, _), (second, _) = ranks
    for epoch in range(4):
        together = torch.cat([rows(first, epoch), rows(second, epoch)])
        assert len(together) == len(together.unique()) == 70
    for name in ("losses", "choice"):
        assert torch.equal(first["state"][name], second["state"][name])
    assert first["state"]["losses"].isfinite().sum() >= 90, "only those that were in no epoch are unknown"


def test_two_processes_train_like_one(ranks: list[list[dict[str, Any]]]) -> None:
    """The global batches are the same as long as both know the losses of both."""
    one = train(1)
    torch.testing.assert_close(ranks[0][0]["weights"], one["weights"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ranks[0][0]["state"]["losses"], one["state"]["losses"], rtol=1e-3, atol=1e-4)
    for epoch in range(4):
        batches = [rows(result[0], epoch) for result in ranks]
        assert torch.equal(torch.stack(batches, dim=1).flatten(), rows(one, epoch)[:70])


def test_a_resumed_run_ends_with_the_same_bits(ranks: list[list[dict[str, Any]]]) -> None:
    for whole, resumed in ranks:
        assert torch.equal(whole["weights"], resumed["weights"])
        assert torch.equal(whole["state"]["losses"], resumed["state"]["losses"])
        assert all(map(torch.equal, *([batch for _, batch in each["rows"][-13:]] for each in (whole, resumed))))
