"""torch's own schedulers, given by class path: the length they lack, and the interval their kind wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch.utilities import rank_zero_info
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CyclicLR, OneCycleLR, ReduceLROnPlateau

from lightning_modules.injected import arguments_of, class_of, name_of
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.plateau_schedule import PlateauSchedule, plateau_config
from lightning_modules.schedulers.torch_lengths import check_lengths

BY_STEP = (OneCycleLR, CyclicLR)
DEFAULT_MONITOR = "val/loss"


def build_torch_class(
    scheduler: Callable[..., Any], optimizer: Optimizer, horizon: Horizon, interval: str | None = None
) -> dict[str, Any]:
    """Build a scheduler class that arrives without its optimizer.

    A `total_steps` that was left out is filled with the steps of the run; it is then stepped by optimizer step, as
    OneCycleLR and CyclicLR always are. All others count epochs. A plateau is fed by validations. A length that was
    given is honoured, and refused where the run does not fit it.

    Args:
        scheduler: the class, or a `functools.partial` of it.
        optimizer: the optimizer to be scheduled.
        horizon: the length of the run.
        interval: `step` or `epoch`, to overrule the above.

    Returns:
        Lightning's `lr_scheduler` config.
    """
    kind, given = class_of(scheduler), arguments_of(scheduler)
    if isinstance(kind, type) and issubclass(kind, ReduceLROnPlateau):
        inner = scheduler(optimizer)
        return plateau_config(PlateauSchedule(optimizer, inner, given.get("monitor", DEFAULT_MONITOR)))
    if lacks_total_steps(kind, given):
        given["total_steps"] = horizon.known_steps(name_of(scheduler))
        build: Callable[..., Any] = RunLongOneCycle if kind is OneCycleLR else kind
        built = build(optimizer, **given)
        return {"scheduler": built, "interval": "step", "frequency": 1}
    built = scheduler(optimizer)
    interval = interval or ("step" if isinstance(built, BY_STEP) else "epoch")
    check_lengths(built, interval, horizon)
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
        own = {"total_steps", "_schedule_phases"}
        if state_dict["total_steps"] != self.total_steps:
            rank_zero_info(
                f"OneCycleLR: saved in a run of {state_dict['total_steps']} steps, now {self.total_steps}. From step"
                f" {state_dict['last_epoch']} the learning rate follows the new cycle."
            )
        super().load_state_dict({key: value for key, value in state_dict.items() if key not in own})
