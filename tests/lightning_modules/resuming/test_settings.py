"""All pairs of optimizer presets and of schedule presets on a resume: applied or refused, never ignored."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning.pytorch.plugins import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from descent.presets import names, shipped
from descent.training.parser import Parser
from foundation.errors import UserError
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.optimizers.build import build_optimizer
from lightning_modules.resuming.comparison import Change
from lightning_modules.resuming.description import SCHEDULED
from lightning_modules.resuming.settings import KEY, ResumedSettings
from lightning_modules.schedulers import RunLength, build_schedule

OPTIMIZERS = [name for name in names() if name.startswith("optimizers/")]
SCHEDULES = [None, *(name for name in names() if name.startswith("schedulers/"))]
RUN_LENGTH = RunLength(steps=40, epochs=4, steps_per_epoch=10)
STOPPED_AT = 20
RUNNING = {"lr", "initial_lr", "train_mode", "k", "weight_sum", "lr_max", "scheduled_lr", "r", "step"}


class _Parts:
    def __init__(self, optimizer: Any, scheduler: Any = None) -> None:
        self.optimizer, self.scheduler = optimizer, scheduler


@cache
def _parser() -> Parser:
    for name in ("optimizer", "scheduler"):
        _Parts.__init__.__annotations__[name] = SupervisedModule.__init__.__annotations__[name]
    made = Parser(exit_on_error=False)
    made.add_class_arguments(_Parts, "parts", sub_configs=True)
    return made


def _factories(optimizer: str, schedule: str | None) -> _Parts:
    """Return a pair whose halves are parsed once for all pairs."""
    any_optimizer = OPTIMIZERS[0]
    return _Parts(_parsed(optimizer, None).optimizer, schedule and _parsed(any_optimizer, schedule).scheduler)


@cache
def _parsed(optimizer: str, schedule: str | None) -> _Parts:
    words = [f"--parts.optimizer={shipped(optimizer)}"]
    words += [f"--parts.scheduler={shipped(schedule)}"] if schedule else []
    return cast(_Parts, _parser().instantiate(_parser().parse_args(words)).parts)


class Fit:
    """What Lightning's Trainer does with an optimizer, a schedule and `ResumedSettings`, and nothing else."""

    def __init__(self, optimizer: str, schedule: str | None, lr: float | None = None) -> None:
        torch.manual_seed(0)
        parts = _factories(optimizer, schedule)
        self.module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
        self.module.configured_schedules = lambda: [parts.scheduler]  # type: ignore[assignment]
        self.module.weights = None  # type: ignore[assignment]
        if lr is not None:
            parts.optimizer = partial(parts.optimizer, lr=lr)
        self.optimizer = build_optimizer(parts.optimizer, self.module)
        built = build_schedule(parts.scheduler, self.optimizer, RUN_LENGTH)
        self.schedules = [] if built is None else [SimpleNamespace(**built)]
        self.callback = ResumedSettings()
        self.step = 0
        self.trainer: Any = SimpleNamespace(
            optimizers=[self.optimizer], lr_scheduler_configs=self.schedules, callbacks=[], ckpt_path="last.ckpt",
            global_step=0, state=SimpleNamespace(fn=TrainerFn.FITTING), strategy=SingleDeviceStrategy("cpu"),
            precision_plugin=Precision(),
        )  # fmt: skip
        self.callback.setup(cast(Any, self.trainer), cast(Any, self.module), "fit")

    def train(self, steps: int, learning: bool = True) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            if learning:
                self.module(torch.randn(4, 1, 4, 4)).square().sum().backward()
            getattr(self.optimizer, "train", lambda: None)()
            self.optimizer.step()
            self.step += 1
            for config in self.schedules:
                if config.interval == "step" or self.step % 10 == 0:
                    config.scheduler.step()
                if self.step % 10 == 0 and hasattr(config.scheduler, "observe") and getattr(config, "monitor", None):
                    config.scheduler.observe(1.0)

    def begin(self, checkpoint: Mapping[str, Any] | None = None) -> Change | None:
        """Return what the resume changed."""
        module = cast(Any, self.module)
        loaded = None if checkpoint is None else copy.deepcopy(dict(checkpoint))
        if loaded is not None:
            self.callback.on_load_checkpoint(self.trainer, module, loaded)
        self.callback.on_fit_start(self.trainer, module)
        if loaded is None:
            return None
        change = self.callback.changes[0]
        self.optimizer.load_state_dict(loaded["optimizer_states"][0])
        for config, state in zip(self.schedules, loaded["lr_schedulers"], strict=False):
            config.scheduler.load_state_dict(state)
        self.step = self.trainer.global_step = loaded["global_step"]
        self.callback.on_train_start(self.trainer, module)
        return change

    def checkpoint(self) -> dict[str, Any]:
        progress = {"epoch_progress": {"current": {"processed": self.step // 10}}}
        saved: dict[str, Any] = {
            "optimizer_states": [self.optimizer.state_dict()], "loops": {"fit_loop": progress},
            "lr_schedulers": [config.scheduler.state_dict() for config in self.schedules], "global_step": self.step,
        }  # fmt: skip
        self.callback.on_save_checkpoint(self.trainer, cast(Any, self.module), saved)
        return saved

    def options(self) -> dict[str, Any]:
        return {key: value for key, value in self.optimizer.param_groups[0].items() if key not in {"params", *RUNNING}}

    def scheduled(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """Return the scheduled options of these names; those that the run's schedule does not set are not compared."""
        group = self.optimizer.param_groups[0]
        return {name: None if value is None else group.get(name) for name, value in names.items()}

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


@cache
def saved(optimizer: str, schedule: str | None) -> dict[str, Any]:
    """Return the checkpoint of a run after half of its steps."""
    fit = Fit(optimizer, schedule)
    fit.begin()
    fit.train(STOPPED_AT)
    return fit.checkpoint()


@pytest.mark.parametrize("old", OPTIMIZERS)
def test_every_pair_of_optimizers(old: str) -> None:
    results = {}
    for new in OPTIMIZERS:
        fit = Fit(new, None)
        fresh = fit.options()
        try:
            change = fit.begin(saved(old, None))
        except UserError as error:
            results[new] = "refused" if "--model.weights last.ckpt" in str(error) else str(error)
            continue
        assert change is not None
        results[new] = "applied" if change.lines else "same"
        assert fit.options() == fresh, new
        assert fit.rate == Fit(new, None).rate
        fit.train(2)
    assert results[old] == "same"
    classes = [type(Fit(name, None).optimizer) for name in (old, *OPTIMIZERS)]
    expected = {name: kind is classes[0] for name, kind in zip(OPTIMIZERS, classes[1:], strict=True)}
    assert {name: result != "refused" for name, result in results.items()} == expected


def _fits(optimizer: str, schedule: str | None) -> bool:
    """Return whether a new run takes this pair."""
    try:
        return Fit(optimizer, schedule) is not None
    except UserError:
        return False


@cache
def from_the_start(optimizer: str, schedule: str | None, lr: float | None = None) -> list[dict[str, Any]]:
    """Return the scheduled options at each step of a run that has the schedule from its start."""
    fit = Fit(optimizer, schedule, lr)
    for config in fit.schedules:
        config.monitor = None  # a plateau that a resume adds has made no reductions
    found = []
    for _ in range(STOPPED_AT + 5):
        found.append({key: fit.optimizer.param_groups[0].get(key) for key in SCHEDULED})
        fit.train(1, learning=False)
    return found


def flat(options: Mapping[str, Any]) -> list[float]:
    values = [value for value in options.values() if value is not None]
    return [float(number) for value in values for number in (value if isinstance(value, tuple) else (value,))]


@pytest.mark.parametrize("old", SCHEDULES)
def test_every_pair_of_schedules(old: str | None) -> None:
    for optimizer in ("optimizers/adamw.yaml", "optimizers/sgd_momentum.yaml"):
        before = saved(optimizer, old)
        for new in SCHEDULES:
            fit, whole = Fit(optimizer, new), from_the_start(optimizer, new)
            change = fit.begin(before)
            assert change is not None
            assert bool(change.lines) == (old != new), change.lines
            if "plateau" in str(old) and "plateau" in str(new):
                assert fit.rate == before["optimizer_states"][0]["param_groups"][0]["lr"]  # it keeps its reductions
                continue
            for expected in whole[STOPPED_AT : STOPPED_AT + 4]:
                assert flat(fit.scheduled(expected)) == pytest.approx(flat(expected)), (old, new)
                fit.train(1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_same_settings_restore_the_same_state(optimizer: str) -> None:
    schedules = [schedule for schedule in SCHEDULES if _fits(optimizer, schedule)]
    assert len(schedules) > 8
    for schedule in schedules:
        before = saved(optimizer, schedule)
        fit = Fit(optimizer, schedule)
        change = fit.begin(before)
        assert change is not None
        assert not change.lines
        after = fit.checkpoint()
        assert (after["lr_schedulers"], after[KEY]) == (before["lr_schedulers"], before[KEY])
        assert after["optimizer_states"][0]["param_groups"] == before["optimizer_states"][0]["param_groups"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_learning_rate_with_every_schedule(optimizer: str) -> None:
    for schedule in SCHEDULES:
        if not _fits(optimizer, schedule):
            continue
        fit = Fit(optimizer, schedule, lr=0.0123)
        change = fit.begin(saved(optimizer, schedule))
        assert change is not None
        said = [line for line in change.lines if line.startswith("Resumed with lr ")]
        assert len(said) == 1
        assert "→ 0.0123" in said[0]
        expected = from_the_start(optimizer, schedule, 0.0123)[STOPPED_AT]
        assert fit.rate == pytest.approx(expected["lr"])
        fit.train(2)
