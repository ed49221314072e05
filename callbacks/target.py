"""End a run when a validation metric has reached a target, and tell how many seconds and samples that took."""

import math
import re
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from callbacks.checkpointing.ranking import is_validation_metric
from foundation.errors import UserError
from foundation.files import replacing, strict_json
from foundation.loggers import report_path, run_folder
from foundation.metrics.direction import Direction, directions_of, known_direction, metric_name, similar_name
from lightning_modules.schedulers.monitor import unlogged

FILE = "target.json"
FORM = re.compile(r"(?P<monitor>[^\s<>=]+)\s*(?P<sign>=|<=|>=)\s*(?P<value>\S+)")


class Target(Callback):
    """End the run, and save it, at the first validation in which a metric has reached a value.

    ``descent fit --target val/accuracy=0.90`` adds it. The run's folder gets ``target.json``: the metric, the target,
    whether it was reached, and the value, seconds, samples, steps and epochs of the validation at which it was, else of
    the last one. The seconds are of training and validation, and with the samples include what a resumed run had done
    before; building the run and the first batches' sanity check do not count. Nothing is logged.

    Args:
        monitor: Name of a validation metric, e.g. ``val/accuracy``.
        value: The target, finite.
        mode: ``max`` if the metric must be at least the target, ``min`` if at most; by default what is known of the
            metric.

    Raises:
        ValueError: The target is not finite, or the metric not one of validation.
        UserError: The direction of the metric is not known, or the metric is not logged.
    """

    def __init__(self, monitor: str, value: float, mode: Direction | None = None) -> None:
        if not math.isfinite(value):
            raise ValueError(f"target must be finite, got {value}.")
        if not is_validation_metric(monitor):
            raise ValueError(f"target must be on a validation metric such as val/accuracy, got {monitor!r}.")
        self.monitor, self.value, self.given_mode = monitor, float(value), mode
        self.mode: Direction | None = mode
        self.reached = False
        self.result: dict[str, Any] | None = None
        """What ``target.json`` gets; None before the first validation."""
        self.seconds, self.samples = 0.0, 0
        self._since: float | None = None

    @property
    def sign(self) -> str:
        """≥ or ≤."""
        return "≤" if self.mode == "min" else "≥"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find out which direction is better; forget an earlier fit."""
        if stage != "fit":
            return
        self.mode = self._direction(known_direction(self.monitor, directions_of(pl_module)))
        self.reached, self.result, self.seconds, self.samples = False, None, 0.0, 0

    def _direction(self, known: Direction | None) -> Direction:
        name, value = self.monitor, f"{self.value:g}"
        if self.given_mode is None and known is None:
            raise UserError(
                f"The target is on {name!r}, and it is not known whether a larger or a smaller value of it is better: "
                f"give --target '{name}>={value}' or '{name}<={value}', or the callback's mode.{similar_name(name)}"
            )
        if None not in (self.given_mode, known) and self.given_mode != known:
            way, sign = ("smaller", "<=") if known == "min" else ("larger", ">=")
            raise UserError(
                f"The target is on {name!r} with mode {self.given_mode}, but a {way} {metric_name(name)} is better: "
                f"give --target '{name}{sign}{value}', or the callback's mode {known}."
            )
        return known or self.given_mode or "min"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Require a validation."""
        if not trainer.enable_validation:
            raise UserError(
                f"The target is on {self.monitor!r}, but this run does not validate: give the data a validation set "
                "and set trainer.limit_val_batches above 0, or remove the target."
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._since = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the samples of the batch, over all processes."""
        first = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        if isinstance(first, Tensor):
            self.samples += len(first) * trainer.world_size

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the run if the target is reached."""
        if self.reached or trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        if self.monitor not in trainer.callback_metrics:
            raise UserError(unlogged(self.monitor, set(trainer.callback_metrics), "The target"))
        metric = trainer.callback_metrics[self.monitor]
        value, goal = float(metric), float(metric.new_tensor(self.value))  # an accuracy of 0.9 is 0.89999998 in float32
        there = value <= goal if self.mode == "min" else value >= goal
        self.reached = trainer.strategy.reduce_boolean_decision(there, all=False)
        self.result = self._result(trainer, value)
        if self.reached:
            trainer.should_stop = True

    def _result(self, trainer: Trainer, value: float) -> dict[str, Any]:
        return {
            "metric": self.monitor,
            "target": self.value,
            "mode": self.mode,
            "reached": self.reached,
            "value": value,
            "seconds": round(self._elapsed(), 3),
            "samples": self.samples,
            "steps": trainer.global_step,
            "epochs": trainer.current_epoch + 1,
        }

    def _elapsed(self) -> float:
        return self.seconds + (0.0 if self._since is None else time.monotonic() - self._since)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock, and write the result."""
        self.seconds, self._since = self._elapsed(), None
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if self.result is None or not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        with replacing(report_path(trainer, folder, FILE)) as new:
            new.write_text(strict_json(self.result) + "\n")

    def told(self) -> str | None:
        """Return the result in a line; None before the first validation."""
        if self.result is None:
            return None
        goal, got = f"{self.monitor} {self.sign} {self.value:g}", self.result
        spent = f"{got['seconds']:.1f} s and {got['samples']:,} samples ({got['steps']:,} steps, epoch {got['epochs']})"
        if self.reached:
            return f"{goal} reached after {spent}: {got['value']:.4f}"
        return f"{goal} not reached after {spent}: {got['value']:.4f}"

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds and samples so far."""
        return {"seconds": self._elapsed(), "samples": self.samples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the count of a run that is resumed."""
        self.seconds, self.samples = state_dict["seconds"], state_dict["samples"]


def parse_target(text: str) -> Target:
    """Return the callback for ``--target``: ``NAME=VALUE``, or with ``>=`` or ``<=``, which also give the direction.

    Raises:
        UserError: The text has another form, or a value that is no finite number.

    Example:
        >>> target = parse_target("val/loss<=0.2")
        >>> target.monitor, target.value, target.mode
        ('val/loss', 0.2, 'min')
    """
    match, example = FORM.fullmatch(text.strip()), "e.g. --target val/accuracy=0.90"
    if match is None:
        raise UserError(f"--target is {text!r}, expected the name of a metric, = and a number: {example}.")
    try:
        value = float(match["value"])
    except ValueError:
        raise UserError(f"--target is {text!r}: {match['value']!r} is no number, {example}.") from None
    modes: dict[str, Direction | None] = {"=": None, ">=": "max", "<=": "min"}
    try:
        return Target(match["monitor"], value, modes[match["sign"]])
    except ValueError as error:
        raise UserError(f"--{error}") from error
