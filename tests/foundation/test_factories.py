"""What the command line injects is recognised for what it is, as what Python code injects."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch.optim import lr_scheduler

from foundation.factories import arguments_of, class_of, name_of
from lightning_modules.optimizers import ParameterGroups, build_optimizer
from lightning_modules.schedulers import RunLength, ScheduleFactory, Warmup, build_schedule


class Module:
    def __init__(
        self,
        optimizer: OptimizerCallable,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.parameter_groups = parameter_groups


def parse(*arguments: str) -> Module:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Module, "model", sub_configs=True)
    config = parser.parse_args([f"--model.{argument}" for argument in arguments])
    module: Module = parser.instantiate(config).model
    return module


def built_schedule(*arguments: str) -> tuple[dict[str, Any], torch.optim.Optimizer]:
    module = parse("optimizer=torch.optim.AdamW", *arguments)
    optimizer = build_optimizer(module.optimizer, torch.nn.Linear(2, 2))
    config = build_schedule(module.scheduler, optimizer, RunLength(100, 10, 10))
    assert config is not None
    return config, optimizer


def test_an_optimizer_from_the_command_line() -> None:
    optimizer = parse("optimizer=torch.optim.AdamW", "optimizer.lr=0.5").optimizer
    assert class_of(optimizer) is torch.optim.AdamW
    assert name_of(optimizer) == "AdamW"
    assert arguments_of(optimizer)["lr"] == 0.5
    assert build_optimizer(optimizer, torch.nn.Linear(2, 2)).param_groups[0]["fused"] is True


@pytest.mark.parametrize(
    ("injected", "kind"),
    [
        (torch.optim.SGD, torch.optim.SGD),
        (functools.partial(torch.optim.SGD, lr=1.0), torch.optim.SGD),
        (functools.partial(functools.partial(torch.optim.SGD, lr=1.0), momentum=0.9), torch.optim.SGD),
    ],
)
def test_an_optimizer_from_python(injected: Callable[..., Any], kind: type) -> None:
    assert class_of(injected) is kind
    assert name_of(injected) == "SGD"


def test_a_function_is_its_own_class() -> None:
    def sgd(parameters: Any) -> torch.optim.SGD:
        return torch.optim.SGD(parameters, lr=0.1)

    assert class_of(sgd) is sgd
    assert isinstance(build_optimizer(sgd, torch.nn.Linear(2, 2)), torch.optim.SGD)


def test_one_cycle_of_torch_gets_its_length() -> None:
    config, _ = built_schedule("scheduler=OneCycleLR", "scheduler.max_lr=0.1")
    assert isinstance(config["scheduler"], lr_scheduler.OneCycleLR)
    assert (config["scheduler"].total_steps, config["interval"]) == (100, "step")


@pytest.mark.parametrize(
    ("arguments", "monitor"),
    [
        (["scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau"], "val/loss"),
        (["scheduler=lightning.pytorch.cli.ReduceLROnPlateau", "scheduler.monitor=val/accuracy"], "val/accuracy"),
        (["scheduler=Plateau", "scheduler.monitor=val/accuracy"], "val/accuracy"),
        (["scheduler=Warmup", "scheduler.steps=5", "scheduler.scheduler=Plateau"], "val/loss"),
    ],
)
def test_a_plateau_by_any_path_knows_its_monitor(arguments: list[str], monitor: str) -> None:
    config, _ = built_schedule(*arguments)
    assert config["monitor"] == config["scheduler"].monitor == monitor


def test_a_torch_class_inside_a_warmup() -> None:
    config, optimizer = built_schedule(
        "scheduler=Warmup",
        "scheduler.fraction=0.1",
        "scheduler.scheduler=torch.optim.lr_scheduler.StepLR",
        "scheduler.scheduler.step_size=3",
    )
    assert config["interval"] == "step"
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-5)


def test_groups_from_the_command_line() -> None:
    groups = parse(
        "optimizer=torch.optim.SGD", "parameter_groups=ParameterGroups", 'parameter_groups.lr_factors={"1.*": 10}'
    ).parameter_groups
    assert groups is not None
    assert groups.lr_factors == {"1.*": 10}


def test_a_warmup_keeps_what_its_preset_says() -> None:
    warmup = parse("optimizer=torch.optim.SGD", "scheduler=configs/schedulers/warmup_cosine.yaml").scheduler
    assert isinstance(warmup, Warmup)
    assert warmup.duration.fraction == 0.05
