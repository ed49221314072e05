"""Two processes: differences are reported, the rate is scaled, and predictions are written into one table."""

import csv
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule

from callbacks import PredictionTable, RankGuard, ScaledRate
from callbacks.distributed.fingerprint import differences
from datamodules import DigitsDataModule
from foundation.errors import UserError
from foundation.processes import is_first_to_say
from lightning_modules import ImageClassifier
from tests.datamodules.support import quiet_trainer
from tests.ranks.processes import ddp, in_processes
from tests.ranks.test_equality import Network


class Meddle(Callback):
    """Change something on rank 1 after the second batch."""

    def __init__(self, change: Callable[[Any, Any], None]) -> None:
        self.change = change

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 1 and trainer.global_rank == 1:
            self.change(trainer, pl_module)


class Monitors(Callback):
    """Log a different value on each rank, as a callback that monitors it."""

    monitor = "val/own"

    def on_validation_epoch_end(self, trainer: Any, pl_module: LightningModule) -> None:
        pl_module.log("val/own", torch.tensor(1.0 + trainer.global_rank), rank_zero_only=False, sync_dist=False)


def halve_rate(trainer: Any, module: Any) -> None:
    trainer.optimizers[0].param_groups[0]["lr"] *= 0.5


def flip_a_bit(trainer: Any, module: Any) -> None:
    weight = module.network[4].weight.data
    weight[3, 5] = weight[3, 5].view(torch.int32).bitwise_xor(1).view(torch.float32)


def fit(*callbacks: Callback, module: LightningModule | None = None, batch_size: int = 16, **flags: Any) -> Any:
    torch.manual_seed(0)
    trainer = quiet_trainer(
        **{"strategy": ddp(), "devices": 2, "max_epochs": 1, "limit_train_batches": 8, "limit_val_batches": 1} | flags,
        num_sanity_val_steps=0,
        callbacks=[RankGuard(every_n_steps=2), *callbacks],
    )
    module = module or ImageClassifier(Network(), optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer.fit(module, DigitsDataModule(batch_size=batch_size, seed=0))
    return trainer


def said_by(trial: Callable[[], Any]) -> str:
    try:
        trial()
    except UserError as error:
        return str(error)
    return ""


def trials(rank: int, count: int, folder: str) -> dict[str, Any]:
    scaled = fit(ScaledRate("linear", tuned_at=8), accumulate_grad_batches=2, max_epochs=1)
    table = PredictionTable()
    trainer = quiet_trainer(strategy=ddp(), devices=2, callbacks=[table], default_root_dir=folder)
    torch.manual_seed(0)
    classifier = ImageClassifier(Network(), optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer.predict(classifier, DigitsDataModule(eval_batch_size=50))
    return {
        "agree": said_by(fit),
        "rate": said_by(lambda: fit(Meddle(halve_rate))),
        "weights": said_by(lambda: fit(Meddle(flip_a_bit))),
        "followed": said_by(lambda: fit(Monitors())),
        "data": said_by(lambda: fit(batch_size=16 + rank)),
        "scaled": scaled.optimizers[0].param_groups[0]["lr"],
        "table": str(table.path),
        "spoke": is_first_to_say("the same words"),
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return in_processes(2, trials, tmp_path_factory.mktemp("guard"))


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        ("agree", r"^$"),
        (
            "rate",
            r"^step 4: the learning rate differs between processes: 0\.1, 0\.05 on ranks 0 to 1\. They were the same",
        ),
        (
            "weights",
            r"^step 4: the weights differ between processes in 1 of 10 tensors, first network\.4\.weight, rank 1 ag",
        ),
        (
            "followed",
            r"^'val/own' differs between processes \(1, 2 on ranks 0-1\), and callbacks or schedules monitor it: log it with",
        ),
        (
            "data",
            r"^The processes do not run the same: data\.batch_size is 16 on rank 0, 17 on rank 1\. Start all of them",
        ),
    ],
)
def test_differences_are_reported(found: list[dict[str, Any]], trial: str, said: str) -> None:
    for record in found:
        assert re.search(said, record[trial]), record[trial]


def test_the_rate_is_scaled_to_the_global_batch(found: list[dict[str, Any]]) -> None:
    assert [record["scaled"] for record in found] == [pytest.approx(0.1 * 16 * 2 * 2 / 8)] * 2


def test_one_table_of_all_predictions(found: list[dict[str, Any]], tmp_path: Path) -> None:
    alone = PredictionTable()
    trainer = quiet_trainer(callbacks=[alone], default_root_dir=tmp_path)
    torch.manual_seed(0)
    classifier = ImageClassifier(Network(), optimizer=partial(torch.optim.SGD, lr=0.1))
    trainer.predict(classifier, DigitsDataModule(eval_batch_size=50))
    assert alone.path is not None
    with alone.path.open() as mine, Path(found[0]["table"]).open() as theirs:
        expected, rows = list(csv.DictReader(mine)), list(csv.DictReader(theirs))
    assert [int(row["index"]) for row in rows] == list(range(359))
    assert [row["class"] for row in rows] == [row["class"] for row in expected]
    near = partial(pytest.approx, abs=1e-5)
    assert [float(row["probability"]) for row in rows] == near([float(row["probability"]) for row in expected])
    assert found[1]["table"] == "None"


def test_a_message_of_all_ranks_is_printed_once(found: list[dict[str, Any]]) -> None:
    assert sorted(record["spoke"] for record in found) == [False, True]


class TrainerOfTwo:
    """Stands for a trainer on two processes."""

    def __init__(self, optimizer: torch.optim.Optimizer, schedule: Any = None, **options: Any) -> None:
        self.optimizers, self.world_size, self.accumulate_grad_batches = [optimizer], 2, 1
        self.lr_scheduler_configs: list[Any] = [] if schedule is None else [schedule]
        self.ckpt_path, self.datamodule = options.get("ckpt_path"), options.get("data")


class Batches:
    batch_size = 32


@pytest.mark.parametrize(
    ("rule", "tuned_at", "rate"), [("none", None, 0.1), ("linear", None, 0.2), ("sqrt", 16, 0.2), ("sqrt", 64, 0.1)]
)
def test_rules(rule: Any, tuned_at: int | None, rate: float, caplog: pytest.LogCaptureFixture) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    trainer: Any = TrainerOfTwo(optimizer, data=Batches())
    with caplog.at_level("INFO"):
        ScaledRate(rule, tuned_at).on_fit_start(trainer, None)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate)
    assert "global batch 2 processes × 32 = 64" in caplog.text
    assert ("is not scaled" in caplog.text) == (rule == "none")
    trainer.ckpt_path = "last.ckpt"
    ScaledRate(rule, tuned_at).on_fit_start(trainer, None)  # type: ignore[arg-type]
    assert optimizer.param_groups[0]["lr"] == pytest.approx(rate), "a resumed run keeps its rate"


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="rule must be one of none, linear, sqrt; got 'cubic'"):
        ScaledRate("cubic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tuned_at must be ≥ 1, got 0"):
        ScaledRate(tuned_at=0)
    with pytest.raises(ValueError, match="every_n_steps must be ≥ 1 or null, got 0"):
        RankGuard(0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    with pytest.raises(UserError, match="ScaledRate needs the batch size, and the data has no batch_size"):
        ScaledRate().on_fit_start(TrainerOfTwo(optimizer), None)  # type: ignore[arg-type]
    assert differences([{"a": "1"}, {}]) == ["a is 1 on rank 0, not given on rank 1"]
