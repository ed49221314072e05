"""Whether the lengths typed for one of torch's schedulers fit the run."""

from __future__ import annotations

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from lightning_modules.schedulers.horizon import Horizon

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


def check_lengths(scheduler: LRScheduler, interval: str, horizon: Horizon) -> None:
    """Refuse a typed length that the run contradicts, and warn of one that ends early where that shows.

    Raises:
        MisconfigurationException: the length is longer than the run, or a one-cycle is not exactly as long.
    """
    run = horizon.steps if interval == "step" else horizon.epochs
    if run is None or horizon.rehearsal:
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
        raise MisconfigurationException(
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
