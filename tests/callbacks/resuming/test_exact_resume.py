"""A run that is interrupted anywhere and resumed with another seed ends with the same bits as an uninterrupted one."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torchmetrics import CatMetric, MeanMetric

from callbacks import EMA, DurableCheckpoint, ExactResume
from callbacks.checkpointing.difference import differences, meaningful
from callbacks.resuming.epoch_state import metric_states, restore_metrics
from tests.callbacks.resuming.resume_case import CopyEverySave, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def half_precision() -> MixedPrecision:
    return MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**24))


def averaging() -> list[Any]:
    return [EMA(decay=0.9)]


CASES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "plain": ({}, {"step", "end"}),
    "accumulation": ({"accumulate_grad_batches": 2}, {"step", "end"}),
    "validation within the epoch": ({"val_check_interval": 3}, {"step", "best", "end"}),
    "validation in an open window": ({"accumulate_grad_batches": 2, "val_check_interval": 3}, {"step", "best", "end"}),
    "validation across epochs": ({"val_check_interval": 5, "check_val_every_n_epoch": None}, {"step", "best", "end"}),
    "validation every second epoch": ({"check_val_every_n_epoch": 2}, {"step", "end"}),
    "averaged weights": ({"extra": averaging, "val_check_interval": 3}, {"step", "best", "end"}),
    "scaler with overflows": ({"plugins": half_precision}, {"step", "end"}),
    "max_steps": ({"max_epochs": None, "max_steps": 18}, {"step", "end"}),
}


def made(flags: dict[str, Any]) -> dict[str, Any]:
    """Create new objects for each fit."""
    return {name: value() if isinstance(value, Callable) else value for name, value in flags.items()}  # type: ignore[arg-type]


def rows(folder: Path) -> dict[tuple[str, str], str]:
    """Last logged value by (step, name)."""
    values: dict[tuple[str, str], str] = {}
    with (folder / "metrics.csv").open() as file:
        for row in csv.DictReader(file):
            values |= {(row["step"], name): value for name, value in row.items() if value and name != "step"}
    return values


@pytest.mark.parametrize("name", CASES)
def test_resumed_anywhere(tmp_path: Path, name: str) -> None:
    flags, kinds = CASES[name]
    whole = fit(tmp_path / "whole", 1, CopyEverySave(tmp_path / "kept", every_n_train_steps=1), **made(flags))
    points = sorted((tmp_path / "kept").iterdir())[:-1]
    assert {point.stem.split("-")[-1] for point in points} == kinds
    ends = [point for point in points if point.stem.endswith("end")]
    chosen = dict.fromkeys([*points[::4], *ends, *(point for point in points if point.stem.endswith("best"))])
    for point in chosen:
        folder = tmp_path / point.stem / "checkpoints"
        folder.mkdir(parents=True)
        (folder / "best.ckpt").write_bytes(point.read_bytes())  # of the run's own folder
        saver = CopyEverySave(tmp_path / "again")  # as rarely as by default: saving changes nothing, see below
        resumed = fit(tmp_path / point.stem, 99, saver, folder / "best.ckpt", **made(flags))
        assert not meaningful(differences(whole, resumed)), point.stem
        logged, all_logged = rows(tmp_path / point.stem), rows(tmp_path / "whole")
        assert logged.items() <= all_logged.items(), point.stem
        step = int(point.stem.split("-")[1]) - point.stem.endswith("end")  # at an epoch's end its row is not logged yet
        epochs = {key for key in all_logged if int(key[0]) >= step and key[1].startswith("train/")}
        assert epochs <= logged.keys(), point.stem
        assert {key for key in all_logged if int(key[0]) > step} <= logged.keys(), point.stem


def test_saving_changes_nothing(tmp_path: Path) -> None:
    often = fit(tmp_path / "often", 1, CopyEverySave(tmp_path / "kept", every_n_train_steps=1))
    seldom = fit(tmp_path / "seldom", 1, CopyEverySave(tmp_path / "kept"))
    assert not meaningful(differences(often, seldom))


def test_without_reseeding_the_result_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove that the comparison can fail: dropout draws other numbers."""
    monkeypatch.setattr(ExactResume, "reseed", lambda *args: None)
    whole = fit(tmp_path / "whole", 1, CopyEverySave(tmp_path / "kept", every_n_train_steps=3))
    point = sorted((tmp_path / "kept").iterdir())[1]
    resumed = fit(tmp_path / "resumed", 99, CopyEverySave(tmp_path / "again", every_n_train_steps=3), point)
    assert any(line.startswith("state_dict") for line in differences(whole, resumed))


def test_other_conditions_warn(tmp_path: Path) -> None:
    fit(tmp_path, 1, CopyEverySave(tmp_path / "kept"))
    point = sorted((tmp_path / "kept").iterdir())[0]
    with pytest.warns(
        UserWarning, match=r"other conditions \(trainer.precision 32-true → bf16-mixed\): the run continues, but"
    ):
        fit(tmp_path, 1, DurableCheckpoint(), point, precision="bf16-mixed")


def test_a_resume_takes_the_seed_of_the_checkpoint(tmp_path: Path) -> None:
    assert ExactResume(seed=5).seed == 5
    callback = ExactResume()
    callback.load_state_dict({"seed": 7})
    assert callback.seed == 7
    with pytest.raises(ValueError, match="seed must be ≥ 0, got -1"):
        ExactResume(seed=-1)


def test_metrics_are_restored_on_their_device() -> None:
    """Sharded strategies load a checkpoint, read onto the CPU, once the module is on its GPU; meta stands for it."""
    module: Any = LightningModule()
    module.mean = MeanMetric()
    module.seen = CatMetric()
    for metric in (module.mean, module.seen):
        metric.update(torch.ones(3))
    saved = metric_states(module, Trainer(accelerator="cpu", logger=False, enable_checkpointing=False))
    module.to("meta")
    restore_metrics(module, saved)
    assert module.mean.mean_value.device.type == module.mean.weight.device.type == "meta"
    assert [value.device.type for value in module.seen.value] == ["meta"]
