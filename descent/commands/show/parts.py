"""The shipped optimizers and schedules as objects, for the figures that show all of them."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable

from descent.presets import SHIPPED
from descent.training.parser import Parser
from lightning_modules.schedulers import ScheduleFactory


class Parts:
    """Holds an optimizer and a schedule, with the types that a module's constructor gives them.

    Args:
        optimizer: Creates an optimizer from parameters.
        scheduler: A schedule factory or a torch scheduler class.
    """

    def __init__(
        self,
        optimizer: OptimizerCallable | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler


def optimizers() -> dict[str, Callable[..., Any]]:
    """Return every shipped optimizer by its preset's name; each is created from parameters."""
    return {name: parse("optimizer", name) for name in names("optimizers")}


def schedulers() -> dict[str, Any]:
    """Return every shipped schedule by its preset's name."""
    return {name: parse("scheduler", name) for name in names("schedulers")}


def names(kind: str) -> list[str]:
    """Return the names of the presets of a kind."""
    return sorted(path.stem for path in (SHIPPED / kind).glob("*.yaml"))


def parse(part: str, name: str) -> Any:
    """Return the object that a preset describes."""
    parser = Parser(prog="descent show")
    parser.add_class_arguments(Parts, "parts", sub_configs=True)
    config = parser.parse_args([f"--parts.{part}={SHIPPED / f'{part}s' / f'{name}.yaml'}"])
    return getattr(parser.instantiate(config).parts, part)
