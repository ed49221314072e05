"""Planted NaN and infinities are located, repeated from the file, and never saved."""

import csv
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from callbacks import BlackBox, DurableCheckpoint, ExactResume, GradientNorm
from callbacks.non_finite.black_box import NonFiniteError
from callbacks.non_finite.replay import read_black_box, replay
from foundation.errors import UserError
from lightning_modules.optimizers.taken_steps import dropped_norm
from lightning_modules.schedulers import Cosine
from tests.anyone.running import NoGradient
from tests.callbacks.inside_case import Foreign, classifier, data, fit, half_precision, trainer_in

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Layer(nn.Module):
    """A linear layer with dropout that makes a NaN or infinity at one of its training steps."""

    def __init__(self, fault: str | None = None, at: int = 7) -> None:
        super().__init__()
        self.linear, self.drop = nn.Linear(16, 16), nn.Dropout(0.2)
        self.fault, self.at = fault, at
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        x = self.drop(self.linear(x)).relu() + x
        if self.training:
            self.seen += 1  # type: ignore[operator, assignment]
            now = bool(self.seen == self.at)
            if self.fault == "forward" and now:
                x = (x - x.amax() - 1).log()
            elif self.fault == "backward" and now:
                x = NoGradient.apply(x)
            elif self.fault == "hidden" and now:
                x = torch.where(torch.isfinite(x / 0.0), x, x)
                self.drop(x / 0.0)
        return x


def twenty(fault: str | None, number: int = 12) -> nn.Module:
    torch.manual_seed(0)
    layers = [Layer(fault if index == number else None) for index in range(20)]
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), *layers, nn.Linear(16, 10))


def module(fault: str | None = None, scheduler: Any = None) -> LightningModule:
    return classifier(twenty(fault), scheduler=scheduler, optimizer=partial(torch.optim.SGD, lr=1e-3))


def stopped(folder: Path, fault: str, **options: Any) -> str:
    trained = module(fault)
    with pytest.raises(NonFiniteError) as caught:
        fit(folder, trained, [ExactResume(), BlackBox(**options)])
    assert all(p.isfinite().all() for p in trained.parameters())
    return str(caught.value)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("forward", r"NaN first in the output of network.15 (Layer)"),
        ("backward", r"NaN first in the gradient from the backward of network.15"),
    ],
)
def test_the_origin_is_named_and_the_step_repeated(tmp_path: Path, fault: str, words: str) -> None:
    text = stopped(tmp_path, fault)
    assert f"step 7, epoch 1: {words}" in text
    path = tmp_path / "black_box.pt"
    assert f"descent replay {path}" in text
    content = read_black_box(path)
    fresh = module(fault)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    found = replay(path, fresh, accelerator="cpu")
    assert found == content["fault"] or str(found) == str(content["fault"])  # NaN losses are never equal
    assert all(torch.equal(before[name], value) for name, value in fresh.state_dict().items())
    assert found is not None
    if fault == "backward":  # the losses are finite, and dropout draws the same numbers
        assert found.loss == content["fault"].loss
        assert replay(path, module(None), accelerator="cpu") is None


@pytest.mark.parametrize("fault", ["forward", "backward"])
def test_a_step_is_skipped(tmp_path: Path, fault: str) -> None:
    box, norms, trained = BlackBox(action="skip"), GradientNorm(), module(fault, scheduler=Cosine())
    with pytest.warns(UserWarning, match="the step is skipped"):
        fit(tmp_path, trained, [ExactResume(), norms, box])
    # restored buffers include the counter of the planted fault, so every step from the 7th on fails
    assert [step for step, _ in box.found] == list(range(6, 20))
    assert read_black_box(tmp_path / "black_box.pt")["step"] == 6  # of the first one
    assert all(value.isfinite().all() for value in trained.state_dict().values())
    # It counts as skipped, not as a step with norm 0, and the schedule does not advance.
    assert trained.taken_steps is not None
    assert trained.taken_steps.taken == 6  # type: ignore[union-attr]
    assert trained.trainer.lr_scheduler_configs[0].scheduler.last_epoch == 6
    record = norms.records[0]
    assert [math.isfinite(norm) for norm in record.norms] == [True] * 6 + [False] * 14
    assert min(record.norms[:6]) > 0
    assert record.skipped == 14
    assert "20 steps, 14 of them not finite" in (tmp_path / "clipping.txt").read_text()
    with (tmp_path / "metrics.csv").open() as file:
        logged = [row for row in csv.DictReader(file) if row["grad_norm/nonfinite"]]
    assert [row["grad_norm/skipped"] for row in logged] == ["", "2.0", "6.0", "10.0", "14.0"]
    assert logged[-1]["skipped_steps"] == "13.0"  # logged before the step
    assert dropped_norm(trained.trainer.optimizers[0]) is None


class Fused(Foreign):
    """A module that knows nothing of Descent, with a fused optimizer, and a NaN at its 7th step."""

    def __init__(self) -> None:
        super().__init__(fused=True)
        self.net = twenty("forward")  # type: ignore[assignment]


@pytest.mark.parametrize("flags", [{}, {"gradient_clip_val": 1.0}], ids=["", "clipped"])
def test_a_fused_step_under_a_scaler_is_skipped(tmp_path: Path, flags: dict[str, Any]) -> None:
    """The scaler would ask for the gradients that are gone."""
    torch.manual_seed(0)
    box, trained = BlackBox(action="skip"), Fused()
    with pytest.warns(UserWarning, match="the step is skipped"):
        fit(tmp_path, trained, [box], plugins=half_precision(1.0), max_epochs=1, **flags)
    assert [step for step, _ in box.found] == list(range(6, 10))
    assert all(value.isfinite().all() for value in trained.state_dict().values())


def test_a_value_that_does_not_reach_the_loss(tmp_path: Path) -> None:
    fit(tmp_path, module("hidden"), [BlackBox()])
    assert "first in the input of network.15.drop (Dropout)" in stopped(tmp_path, "hidden", activations=True)


def test_exploding_weights_are_not_saved(tmp_path: Path) -> None:
    def optimizer(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=1e38)

    saver = DurableCheckpoint(monitor=None, dirpath=tmp_path / "checkpoints", every_n_train_steps=1)
    trainer = trainer_in(tmp_path, [BlackBox(), saver], enable_checkpointing=True)
    with pytest.raises(
        NonFiniteError, match=r"in the weights network\..*the learning rate is too high|in the weights|output"
    ):
        trainer.fit(
            classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), optimizer=optimizer, scheduler=None), data()
        )
    for file in (tmp_path / "checkpoints").glob("*.ckpt"):
        weights = torch.load(file, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in weights.values())


def test_a_fault_under_a_scaler_is_traced(tmp_path: Path) -> None:
    """A gradient scaler refuses to be copied between unscaling and the step, which is when gradients are checked."""
    trained, plugin = module("forward"), half_precision(1.0)
    with pytest.raises(NonFiniteError, match=r"step 7, epoch 1: NaN first in the output of network.15 \(Layer\)"):
        fit(tmp_path, trained, [ExactResume(), BlackBox()], plugins=plugin)
    assert plugin.scaler is not None
    assert plugin.scaler.get_scale() == 1.0, "the trace changed the scaler of the run"


def test_an_overflow_under_a_scaler_is_not_reported(tmp_path: Path) -> None:
    box = BlackBox()
    fit(tmp_path, callbacks=[box], plugins=half_precision())
    assert box.found == []


def test_error_messages(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="action must be one of stop, skip; got 'go on'"):
        BlackBox(action="go on")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"no black box at .*BlackBox writes"):
        replay(tmp_path / "none.pt", module())
    torch.save({"a": 1}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="is no black box: expected"):
        replay(tmp_path / "other.pt", module())
    stopped(tmp_path, "forward")
    with pytest.raises(UserError, match="is of another network"):
        replay(tmp_path / "black_box.pt", classifier())
