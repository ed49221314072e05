"""The shipped optimizers and schedules as objects, for the commands that draw them all."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from descent.presets import SHIPPED
from descent.training.parser import Parser
from lightning_modules.schedulers import ScheduleFactory


class Parts:
    """What a module is given, without the module.

    Args:
        optimizer: An optimizer without its parameters.
        scheduler: A recipe or a torch scheduler class.
    """

    def __init__(
        self,
        optimizer: OptimizerCallable | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler


def optimizers() -> dict[str, Callable[..., Any]]:
    """Every shipped optimizer by its preset's name, without its parameters."""
    return {name: parse("optimizer", name) for name in names("optimizers")}


def schedulers() -> dict[str, Any]:
    """Every shipped schedule by its preset's name."""
    return {name: parse("scheduler", name) for name in names("schedulers")}


def names(kind: str) -> list[str]:
    """Names of the presets of a kind."""
    return sorted(path.stem for path in (SHIPPED / kind).glob("*.yaml"))


def parse(part: str, name: str) -> Any:
    """The object that a preset describes."""
    parser = Parser(prog="descent show")
    parser.add_class_arguments(Parts, "parts", sub_configs=True)
    config = parser.parse_args([f"--parts.{part}={SHIPPED / f'{part}s' / f'{name}.yaml'}"])
    return getattr(parser.instantiate(config).parts, part)
