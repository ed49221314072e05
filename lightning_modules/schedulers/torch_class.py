"""torch's own schedulers, given by class path: the length they lack, and the interval their kind wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import CyclicLR, LRScheduler, OneCycleLR, ReduceLROnPlateau

from foundation.compat.torch import ONE_CYCLE_LENGTH
from foundation.errors import UserError
from foundation.factories import arguments_of, class_of, name_of
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.schedulers.plateau import PlateauSchedule, plateau_config
from lightning_modules.schedulers.run_length import RunLength

LENGTHS: dict[type[LRScheduler], str] = {
    lr_scheduler.StepLR: "step_size",
    lr_scheduler.ConstantLR: "total_iters",
    lr_scheduler.LinearLR: "total_iters",
    lr_scheduler.PolynomialLR: "total_iters",
    lr_scheduler.CosineAnnealingLR: "T_max",
    lr_scheduler.CosineAnnealingWarmRestarts: "T_0",
    lr_scheduler.OneCycleLR: "total_steps",
    lr_scheduler.CyclicLR: "total_size",
}
OURS = {
    lr_scheduler.StepLR: "StepDecay",
    lr_scheduler.PolynomialLR: "Polynomial",
    lr_scheduler.CosineAnnealingLR: "Cosine",
    lr_scheduler.CosineAnnealingWarmRestarts: "WarmRestarts",
    lr_scheduler.OneCycleLR: "OneCycle",
    lr_scheduler.CyclicLR: "Cyclic",
    lr_scheduler.MultiStepLR: "Milestones",
}


def check_lengths(scheduler: LRScheduler, interval: str, run_length: RunLength) -> None:
    """Refuse a typed length that the run contradicts, and warn of one that ends early where that shows.

    Raises:
        UserError: the length is longer than the run, or a one-cycle is not exactly as long.
    """
    run = run_length.steps if interval == "step" else run_length.epochs
    if run is None or run_length.rehearsal:
        return
    kind = type(scheduler)
    length, name = typed_length(scheduler)
    unit = "optimizer steps" if interval == "step" else "epochs"
    if length is None:
        return
    way_out = f" lightning_modules.schedulers.{OURS[kind]} takes its length from the run." if kind in OURS else ""
    exact = kind is lr_scheduler.OneCycleLR and length != run
    idle = kind is lr_scheduler.StepLR and length == run
    if length > run or exact or idle:
        raise UserError(
            f"{kind.__name__}: {name} is {length:g} {unit}, and the run has {run:g}. Change one of the two, or count in"
            f" {'epochs' if interval == 'step' else 'steps'} (lightning_modules.schedulers.TorchSchedule).{way_out}"
        )
    if kind is lr_scheduler.CosineAnnealingLR and length < run:
        rank_zero_warn(f"CosineAnnealingLR: after T_max = {length:g} of {run:g} {unit} the rate rises again.{way_out}")


def typed_length(scheduler: LRScheduler) -> tuple[float | None, str]:
    """Return the length that a scheduler was given, and the argument's name."""
    if isinstance(scheduler, lr_scheduler.MultiStepLR):
        return max(scheduler.milestones, default=None), "the last of milestones"
    name = LENGTHS.get(type(scheduler))
    return (None, "") if name is None else (float(getattr(scheduler, name)), name)


BY_STEP = (OneCycleLR, CyclicLR)
DEFAULT_MONITOR = "val/loss"


def build_torch_class(
    scheduler: Callable[..., Any], optimizer: Optimizer, run_length: RunLength, interval: str | None = None
) -> dict[str, Any]:
    """Build a scheduler class that arrives without its optimizer.

    A `total_steps` that was left out is filled with the steps of the run; it is then stepped by optimizer step, as
    OneCycleLR and CyclicLR always are. All others count epochs. A plateau is fed by validations. A length that was
    given is honoured, and refused where the run does not fit it.

    Args:
        scheduler: the class, or a `functools.partial` of it.
        optimizer: the optimizer to be scheduled.
        run_length: the length of the run.
        interval: `step` or `epoch`, to overrule the above.

    Returns:
        Lightning's `lr_scheduler` config.
    """
    kind, given = class_of(scheduler), arguments_of(scheduler)
    if isinstance(kind, type) and issubclass(kind, ReduceLROnPlateau):
        inner = scheduler(optimizer)
        return plateau_config(PlateauSchedule(optimizer, inner, given.get("monitor", DEFAULT_MONITOR)))
    if lacks_total_steps(kind, given):
        given["total_steps"] = run_length.known_steps(name_of(scheduler))
        build: Callable[..., Any] = RunLongOneCycle if kind is OneCycleLR else kind
        built = build(optimizer, **given)
        return {"scheduler": built, "interval": "step", "frequency": 1}
    built = scheduler(optimizer)
    interval = interval or ("step" if isinstance(built, BY_STEP) else "epoch")
    check_lengths(built, interval, run_length)
    return {"scheduler": built, "interval": interval, "frequency": 1}


def lacks_total_steps(kind: Callable[..., Any], given: dict[str, Any]) -> bool:
    """Return whether the class takes `total_steps` and got neither it nor `epochs`."""
    if kind is OneCycleLR:
        given = {"total_steps": None} | given
    return "total_steps" in given and given["total_steps"] is None and given.get("epochs") is None


class RunLongOneCycle(OneCycleLR):
    """torch's OneCycleLR over the whole run, also a run that is resumed with more epochs, where torch's own raises."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state, on the cycle of this run's length."""
        if state_dict["total_steps"] != self.total_steps:
            rank_zero_info(
                f"OneCycleLR: saved in a run of {state_dict['total_steps']} steps, now {self.total_steps}. From step"
                f" {state_dict['last_epoch']} the learning rate follows the new cycle."
            )
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in ONE_CYCLE_LENGTH})


class TorchSchedule(ScheduleFactory):
    """A torch scheduler class by path, with the interval at which it is stepped.

    Without this recipe a bare torch class is stepped by epoch, OneCycleLR and CyclicLR by optimizer step.

    Args:
        scheduler: a torch scheduler class without its optimizer.
        interval: `step` or `epoch`: what one step of the scheduler, and each of its lengths, is counted in.

    Raises:
        ValueError: the interval is neither.

    Example:
        >>> import functools, torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> halve = functools.partial(torch.optim.lr_scheduler.StepLR, step_size=50)
        >>> TorchSchedule(halve, interval="step").build(optimizer, RunLength(100, 10, 10))["interval"]
        'step'
    """

    def __init__(self, scheduler: LRSchedulerCallable, interval: Literal["step", "epoch"]) -> None:
        if interval not in ("step", "epoch"):
            raise ValueError(f"interval must be step or epoch, got {interval!r}.")
        self.scheduler = scheduler
        self.interval = interval

    def build(self, optimizer: Optimizer, run_length: RunLength) -> dict[str, Any]:
        """Return Lightning's config of the class, stepped at the interval."""
        return build_torch_class(self.scheduler, optimizer, run_length, self.interval)
