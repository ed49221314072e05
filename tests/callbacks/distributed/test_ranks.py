"""Two real processes: the callbacks change no bit, both find the same rate, and the norm is that of all gradients."""

import json
import os
import re
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy

from callbacks import BlackBox, Diagnostics, GradientNorm, LRFinder
from callbacks.non_finite.black_box import NonFiniteError
from tests.callbacks.gradients.test_gradient_norm import Reference
from tests.callbacks.inside_case import classifier, data, half_precision, trainer_in
from tests.ranks.processes import started

PATIENCE = 240  # seconds, on a machine that does much else


class StartedElsewhere(LightningEnvironment):
    """An environment for processes that the test starts and joins."""

    @property
    def creates_processes_externally(self) -> bool:
        return True


def trained(folder: Path, callbacks: list[Any], scaled: bool) -> dict[str, torch.Tensor]:
    seed_everything(1, verbose=False)
    module = classifier()
    strategy = DDPStrategy(cluster_environment=StartedElsewhere(), process_group_backend="gloo")
    flags: dict[str, Any] = {"plugins": half_precision(2.0**20), "accumulate_grad_batches": 2} if scaled else {}
    options: dict[str, Any] = {"devices": 2, "log_every_n_steps": 1000, "max_epochs": 1, "limit_train_batches": 10}
    trainer = trainer_in(folder, callbacks, strategy=strategy, **options, **flags)
    trainer.fit(module, data(batch_size=32))
    return module.state_dict()


def watched(folder: Path, scaled: bool) -> dict[str, Any]:
    """Return what a rank measured in a plain run and in one with every callback."""
    plain = trained(folder / "plain", [], scaled)
    finder = LRFinder(apply=False, steps=20, repeats=1, low=1e-3, high=30.0)
    norms, reference = GradientNorm(), Reference()
    others = [Diagnostics(every_n_steps=2), BlackBox()]
    seen = trained(folder / "watched", [finder, norms, *others, reference], scaled)
    assert finder.search is not None
    return {
        "same bits": all(torch.equal(plain[name], value) for name, value in seen.items()),
        "pick": finder.search.pick,
        "losses": finder.search.losses.tolist()[0][:5],
        "norms": [norm for norm in norms.records[0].norms if isfinite(norm)],
        "expected": [norm for norm in reference.before if isfinite(norm)],
    }


class Poison(Callback):
    """An image of the second process is infinite in the fourth batch; the batch itself holds it, so it can be repeated."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_rank == 1 and batch_idx == 3:
            batch[0][0] = torch.inf


def poisoned(folder: Path, action: Literal["stop", "skip"]) -> dict[str, Any]:
    """Return a rank's message and final weights when only one rank has a non-finite value."""
    box, message = BlackBox(action), ""
    try:
        state = trained(folder / action, [box, Poison()], scaled=False)
    except NonFiniteError as error:
        state, message = {}, str(error)
    finite = all(bool(torch.isfinite(value.float()).all()) for value in state.values())
    return {"message": message, "finite": finite, "faults": len(box.found), "sum": str(sum_of(state))}


def sum_of(state: dict[str, torch.Tensor]) -> float:
    return sum(float(value.double().sum()) for name, value in state.items() if "running" not in name)


def run(rank: int, folder: str) -> None:
    os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0")
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = [watched(Path(folder, str(scaled)), scaled) for scaled in (False, True)]
    results += [poisoned(Path(folder, "poisoned"), action) for action in ("stop", "skip")]
    Path(folder, f"{rank}.json").write_text(json.dumps(results))
    torch.distributed.destroy_process_group()


def test_two_processes(tmp_path: Path) -> None:
    context = started(run, (str(tmp_path),))
    try:
        assert context.join(timeout=PATIENCE) or context.join(timeout=PATIENCE), "the ranks wait for each other"
    finally:
        for process in context.processes:
            process.kill()
    ranks = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    for first, second in zip(ranks[0][:2], ranks[1][:2], strict=True):
        assert first["same bits"]
        assert second["same bits"]
        assert first["pick"] == second["pick"]
        assert first["losses"] == second["losses"]
        assert len(first["norms"]) >= 3
        assert first["norms"] == pytest.approx(first["expected"], rel=1e-6)
        assert first["norms"] == second["norms"]
    stopped, skipped = zip(ranks[0][2:], ranks[1][2:], strict=True)
    assert stopped[0] == stopped[1]
    assert re.match(r"step 4, epoch 1: process 1: inf in .*black_box-rank1.pt$", stopped[0]["message"]), stopped
    assert skipped[0] == skipped[1]
    assert (skipped[0]["message"], skipped[0]["finite"], skipped[0]["faults"]) == ("", True, 1)
