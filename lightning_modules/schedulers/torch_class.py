"""torch's own scheduler classes: fill in their lengths and choose the interval at which they step."""

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
from lightning_modules.schedulers.plateau import plateau_config
from lightning_modules.schedulers.run_length import RunLength
from lightning_modules.schedulers.step_schedule import ScheduleFactory

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
    """Check the length that a scheduler was given against the length of the run; warn if a cosine ends early.

    Raises:
        UserError: The length is longer than the run, or a one-cycle is not exactly as long.
    """
    run = run_length.steps if interval == "step" else run_length.epochs
    if run is None or run_length.fast_dev_run:
        return
    kind = type(scheduler)
    length, name = given_length(scheduler)
    unit = "optimizer steps" if interval == "step" else "epochs"
    if length is None:
        return
    way_out = f" lightning_modules.schedulers.{OURS[kind]} takes its length from the run." if kind in OURS else ""
    exact = kind is lr_scheduler.OneCycleLR and length != run
    idle = kind is lr_scheduler.StepLR and length == run
    if length > run or exact or idle:
        raise UserError(
            f"{kind.__name__}: {name} is {length:g} {unit}, but the run has {run:g}. Change one of the two, or count in"
            f" {'epochs' if interval == 'step' else 'steps'} (lightning_modules.schedulers.TorchSchedule).{way_out}"
        )
    if kind is lr_scheduler.CosineAnnealingLR and length < run:
        rank_zero_warn(f"CosineAnnealingLR: after T_max = {length:g} of {run:g} {unit} the rate rises again.{way_out}")


def given_length(scheduler: LRScheduler) -> tuple[float | None, str]:
    """Return the length that a scheduler was given, and the name of the argument."""
    if isinstance(scheduler, lr_scheduler.MultiStepLR):
        return max(scheduler.milestones, default=None), "the last of milestones"
    name = LENGTHS.get(type(scheduler))
    return (None, "") if name is None else (float(getattr(scheduler, name)), name)


BY_STEP = (OneCycleLR, CyclicLR)
DEFAULT_MONITOR = "val/loss"
NEEDS_OPTIMIZER = (
    "takes schedulers that have their optimizer already, which a config cannot give: use "
    "lightning_modules.schedulers.Combined with the same schedulers and milestones."
)


def build_torch_class(
    scheduler: Callable[..., Any], optimizer: Optimizer, run_length: RunLength, interval: str | None = None
) -> dict[str, Any]:
    """Build a scheduler from a class that lacks only its optimizer.

    If `total_steps` is missing, it is set to the steps of the run, and the scheduler steps by optimizer step, as
    OneCycleLR and CyclicLR always do. All others step by epoch. A plateau gets the values of validations. A length
    that was given is kept if it fits the run.

    Args:
        scheduler: The class, or a `functools.partial` of it.
        optimizer: The optimizer.
        run_length: The length of the run.
        interval: `step` or `epoch`, instead of the above.

    Returns:
        Lightning's `lr_scheduler` config.

    Raises:
        UserError: It is a SequentialLR or ChainedScheduler, or a length does not fit the run.
    """
    kind, given = class_of(scheduler), arguments_of(scheduler)
    if kind in (lr_scheduler.ChainedScheduler, lr_scheduler.SequentialLR):
        raise UserError(f"{name_of(scheduler)} {NEEDS_OPTIMIZER}")
    if isinstance(kind, type) and issubclass(kind, ReduceLROnPlateau):
        return plateau_config(optimizer, scheduler(optimizer), given.get("monitor", DEFAULT_MONITOR))
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
    """Return whether the class takes `total_steps`, and got neither that nor `epochs`."""
    if kind is OneCycleLR:
        given = {"total_steps": None} | given
    return "total_steps" in given and given["total_steps"] is None and given.get("epochs") is None


class RunLongOneCycle(OneCycleLR):
    """torch's OneCycleLR over the whole run, which can also resume with more epochs, where torch's own raises."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a state; the cycle keeps the length of this run."""
        if state_dict["total_steps"] != self.total_steps:
            rank_zero_info(
                f"OneCycleLR: saved in a run of {state_dict['total_steps']} steps, now {self.total_steps}. From step"
                f" {state_dict['last_epoch']} the learning rate follows the new cycle."
            )
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in ONE_CYCLE_LENGTH})


class TorchSchedule(ScheduleFactory):
    """A torch scheduler class, with the interval at which it steps.

    A torch class without `TorchSchedule` steps by epoch, OneCycleLR and CyclicLR by optimizer step.

    Args:
        scheduler: A torch scheduler class without its optimizer.
        interval: `step` or `epoch`: the unit of a step of the scheduler, and of its lengths.

    Raises:
        ValueError: The interval is neither.

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
        """Return Lightning's config of the scheduler, stepped at the interval."""
        return build_torch_class(self.scheduler, optimizer, run_length, self.interval)
