"""Reduce the learning rate when a monitored value stops improving."""

from __future__ import annotations

from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.schedulers.checks import check_at_least
from lightning_modules.schedulers.horizon import Horizon
from lightning_modules.schedulers.plateau_schedule import PlateauSchedule, plateau_config
from lightning_modules.schedulers.recipe import Recipe


class Plateau(Recipe):
    r"""Multiply the rate by `factor` when `monitor` has not improved in more than `patience` validations.

    $\eta \leftarrow \max(f \eta, \eta_\text{min})$ once `patience` + 1 validations in a row were not better
    than the best by `threshold`. torch's `ReduceLROnPlateau` does the counting; one validation is one count, however
    many of them an epoch has, or epochs between them.

    Args:
        monitor: the logged value to watch.
        mode: `min` where smaller is better, `max` where larger is.
        factor: $f$ in (0, 1).
        patience: validations without improvement that are let pass, ≥ 0.
        threshold: improvements smaller than this do not count, ≥ 0.
        threshold_mode: `rel`: a share of the best value; `abs`: in its unit.
        cooldown: validations after a reduction in which nothing is counted, ≥ 0.
        min_lr: $\eta_\text{min}$ ≥ 0, for every parameter group.

    Raises:
        ValueError: an argument is outside its range.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        >>> config = Plateau(patience=0).build(optimizer, Horizon(steps=3, epochs=3, steps_per_epoch=1))
        >>> for loss in (1.0, 1.0):
        ...     config["scheduler"].observe(loss)
        >>> optimizer.param_groups[0]["lr"]
        0.05
    """

    def __init__(
        self,
        monitor: str = "val/loss",
        mode: Literal["min", "max"] = "min",
        factor: float = 0.5,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if not monitor:
            raise ValueError("monitor must name a logged value such as val/loss, got an empty name.")
        if mode not in ("min", "max"):
            raise ValueError(f"mode must be min or max, got {mode!r}.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold_mode must be rel or abs, got {threshold_mode!r}.")
        if not 0 < factor < 1:
            raise ValueError(f"factor must be in (0, 1), got {factor}.")
        for name, value in (
            ("patience", patience),
            ("threshold", threshold),
            ("cooldown", cooldown),
            ("min_lr", min_lr),
        ):
            check_at_least(name, value, 0)
        self.monitor = monitor
        self.mode: Literal["min", "max"] = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode: Literal["rel", "abs"] = threshold_mode
        self.cooldown = cooldown
        self.min_lr = min_lr

    def build(self, optimizer: Optimizer, horizon: Horizon) -> dict[str, Any]:
        """Return Lightning's config of the plateau; `observe_plateaus` feeds it."""
        inner = ReduceLROnPlateau(
            optimizer,
            mode=self.mode,
            factor=self.factor,
            patience=self.patience,
            threshold=self.threshold,
            threshold_mode=self.threshold_mode,
            cooldown=self.cooldown,
            min_lr=self.min_lr,
            eps=0.0,
        )
        return plateau_config(PlateauSchedule(optimizer, inner, self.monitor))
