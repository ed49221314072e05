"""The body of a network is frozen for the first part of a run: gradients, optimizer, batch norm, table, resume."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from callbacks import EMA, ExactResume, Freeze
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.optimizers import ParameterGroups
from tests.datamodules.support import MadeUp
from tests.ranks.processes import ddp, in_processes


class Note(Callback):
    """Keep what an epoch trained."""

    def __init__(self) -> None:
        self.states: list[int] = []
        self.moved: list[set[str]] = []
        self.modes: list[list[bool]] = []
        self.before: dict[str, Tensor] = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        self.modes.append([layer.training for layer in pl_module.network])  # type: ignore[union-attr,attr-defined]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.states.append(len(trainer.optimizers[0].state))
        now = pl_module.state_dict()
        moved = {name for name, value in self.before.items() if not torch.equal(value, now[name])}
        self.moved.append({name.removeprefix("network.") for name in moved if name.startswith("network.")})


def classifier(**kwargs: Any) -> ImageClassifier:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 2)
    )
    optimizer = partial(torch.optim.AdamW, lr=0.01)
    return ImageClassifier(network, optimizer, parameter_groups=ParameterGroups(layer_decay=0.5), **kwargs)


def fit(module: ImageClassifier, folder: Path, *callbacks: Callback, **kwargs: Any) -> Trainer:
    flags: dict[str, Any] = {"max_epochs": 4}
    flags |= {name: kwargs.pop(name) for name in ("strategy", "max_epochs", "devices") if name in kwargs}
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[ExactResume(seed=0), *callbacks], default_root_dir=folder, enable_checkpointing=False,
        **flags,
    )  # fmt: skip
    trainer.fit(module, datamodule=MadeUp(train=60, batch_size=9, seed=0), **kwargs)
    return trainer


BODY = {"0.weight", "0.bias", "1.weight", "1.bias"}
HEAD = {"5.weight", "5.bias"}


def test_the_body_is_frozen_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[str] = []
    monkeypatch.setattr("lightning_modules.optimizers.build.rank_zero_info", tables.append)
    note = Note()
    trainer = fit(classifier(), tmp_path, note, Freeze(until=0.5))
    assert note.states == [2, 2, 6, 6], "no optimizer state of what is frozen"
    assert note.moved == [HEAD, HEAD, BODY | HEAD, BODY | HEAD], "batch norm keeps its statistics"
    assert note.modes[0] == [False] * 5 + [True]
    assert note.modes[-1] == [True, False, True, True, True, True]
    assert "frozen" in tables[0]
    assert len(trainer.optimizers[0].param_groups) > 1


def test_statistics_are_trained_if_asked_for(tmp_path: Path) -> None:
    note = Note()
    fit(classifier(), tmp_path, note, Freeze(until=0.5, batch_norm="train"))
    assert note.moved[1] == HEAD
    assert {"1.running_mean", "1.running_var"} <= note.moved[2]


def test_a_linear_probe_trains_the_last_layer_only(tmp_path: Path) -> None:
    note, module = Note(), classifier()
    fit(module, tmp_path, note, Freeze(until=1.0))
    assert set.union(*note.moved) == HEAD
    assert all(parameter.requires_grad for parameter in module.parameters()), "nothing stays frozen after the run"


def test_frozen_parameters_have_no_gradient(tmp_path: Path) -> None:
    class Look(Callback):
        def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert {n for n, p in pl_module.network.named_parameters() if p.grad is not None} == HEAD  # type: ignore[union-attr,operator]

    fit(classifier(), tmp_path, Look(), Freeze(until=1.0), max_epochs=1)


class SaveEverywhere(Callback):
    """Save after some steps, and at the end of every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if not trainer.is_last_batch and trainer.global_step in (3, 9, 15, 20):
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch < 3:
            trainer.save_checkpoint(self.folder / f"{trainer.global_step}.ckpt")


def test_a_run_resumed_anywhere_gives_the_same_weights(tmp_path: Path) -> None:
    whole = classifier()
    fit(whole, tmp_path, Freeze(until=0.5), EMA(0.9), SaveEverywhere(tmp_path))
    files = sorted(tmp_path.glob("*.ckpt"))
    assert len(files) >= 7
    for file in files:
        resumed = classifier()
        fit(resumed, tmp_path, Freeze(until=0.5), EMA(0.9), ckpt_path=str(file))
        for name, value in whole.state_dict().items():
            assert torch.equal(value, resumed.state_dict()[name]), (file.name, name)


def on_a_rank(rank: int, count: int, folder: Path) -> dict[str, Tensor]:
    module = classifier()
    fit(module, Path(folder), Freeze(until=0.5), strategy=ddp(), devices=count)
    return module.state_dict()


def test_ddp_reduces_gradients_that_were_frozen(tmp_path: Path) -> None:
    one, other = in_processes(2, on_a_rank, tmp_path)
    begin = classifier().state_dict()
    for name, value in one.items():
        assert torch.equal(value, other[name]), f"{name}: each rank trained its own"
    assert not torch.equal(one["network.0.weight"], begin["network.0.weight"])


def test_layers_can_be_named(tmp_path: Path) -> None:
    note = Note()
    fit(classifier(), tmp_path, note, Freeze(until=1.0, trained=["0", "5"]), max_epochs=1)
    assert note.moved == [{"0.weight", "0.bias"} | HEAD]
    with pytest.raises(UserError, match="the network has no layer 'head'"):
        fit(classifier(), tmp_path, Freeze(trained=["head"]))
    with pytest.raises(ValueError, match="until must be in"):
        Freeze(until=2.0)
