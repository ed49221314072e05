"""The rows of a run's table: which values belong into them, as measured since the row before."""

import math
import time
from collections.abc import Iterable
from typing import Any

from lightning.pytorch.callbacks import Timer

from callbacks.reporting import table
from callbacks.reporting.pace import Pace, epochs_done
from callbacks.reporting.table import Column
from foundation.metrics.direction import Direction, directions_of, known_direction
from foundation.metrics.freshness import MeasuredIn
from foundation.metrics.names import by_canonical_name, canonical


class Rows:
    """Make the lines of a run's table from what the trainer knows.

    Args:
        first: Names of logged values that come first, in any convention.
    """

    def __init__(self, first: tuple[str, ...]) -> None:
        self.first = first
        self.columns: list[Column] = []
        self.pace = Pace()
        self.best: float | None = None
        self.monitored: tuple[str, Direction] | None = None
        self._expected: list[str] = []
        self._measured = MeasuredIn()
        self._started = 0.0
        self._width = math.inf
        self._explained = False
        self._shown: dict[str, float] = {}

    def expect(self, names: Iterable[str]) -> None:
        """Reserve columns for the values among these that the table shows."""
        shown = set(map(canonical, self.first))
        wanted = [name for name in names if canonical(name) in shown or canonical(name).startswith("val/")]
        self._expected += [name for name in wanted if name not in self._expected]

    def start(self, trainer: Any, module: Any) -> None:
        """Begin the table of a fit; a resumed one knows the best value so far."""
        self.columns, self._started, self._explained = [], time.monotonic(), False
        logged = getattr(module, "logged_metrics", None)
        self.expect(sorted(logged()) if callable(logged) else ())
        if not trainer.enable_validation:
            self._expected = [name for name in self._expected if not canonical(name).startswith("val/")]
        saver = trainer.checkpoint_callback
        score = getattr(saver, "best_model_score", None)
        self.best = None if score is None else float(score)
        self.monitored = None
        self.pace.start(trainer)

    def start_epoch(self, trainer: Any) -> None:
        """Begin an epoch: what was measured before it is not part of its row."""
        self._measured.skip(trainer.callback_metrics)
        self._started, self._shown = time.monotonic(), {}

    def validated(self) -> None:
        """Note that a validation has ended: its values are new, even if they equal those of the row before."""
        self._shown = {}

    def facts(self, trainer: Any) -> dict[str, str]:
        """Return the cells that are no metrics: place in the run, rates, times."""
        self.pace.note_row(trainer)
        left = self.pace.left(trainer)
        epochs, steps = trainer.max_epochs, trainer.max_steps
        done = epochs_done(trainer)
        part = ends_within_epochs(trainer) and not done.is_integer()
        cells = {
            "epoch": (f"{done:.2f}" if part else f"{math.ceil(done)}")
            + (f"/{epochs}" if epochs is not None and epochs > 0 else ""),
            "step": f"{trainer.global_step}" + (f"/{steps}" if steps > 0 else ""),
            "time": table.duration(time.monotonic() - self._started),
            "left": "" if left is None else table.duration(left, decimals=0),
        }
        return cells | {name: f"{rate:.3g}" for name, rate in rates(trainer).items()}

    def lines(self, trainer: Any, module: Any, facts: dict[str, str], width: float) -> list[tuple[str, bool | None]]:
        """Return the row of the values that were measured since the row before, and before it a header if it is due.

        Args:
            trainer: The trainer.
            module: Its module.
            facts: From `facts`, at the end of the row's time.
            width: Characters that a line may have.

        Returns:
            Lines, each with whether it has a new best value; `None` marks a header.
        """
        metrics = {name: trainer.callback_metrics[name] for name in self._measured.new(trainer.callback_metrics)}
        self._measured.skip(trainer.callback_metrics)
        names = self._chosen(trainer, metrics)
        lines: list[tuple[str, bool | None]] = []
        if not self.columns or width != self._width or not set(names) <= set(self._expected):
            self._expected += [name for name in names if name not in self._expected]
            self.monitored = self.monitored or monitored(trainer, module, self._expected)
            self.columns, self._width = self._layout(trainer, facts, width), width
            if self.monitored is not None and not self._explained:
                lines.append((f"{table.BEST} best {self.monitored[0]} so far", None))
                self._explained = True
            lines.append((table.header(self.columns), None))
        values = {name: float(metrics[name]) for name in names}
        values = {name: value for name, value in values.items() if self._shown.get(name) != value}
        self._shown = values  # Lightning gives the values of a validation once more at the end of the epoch
        new_best = self._is_best(values)
        cells = facts | {name: table.number(value) for name, value in values.items()}
        return [*lines, (table.row(self.columns, cells, new_best), new_best)]

    def _chosen(self, trainer: Any, metrics: dict[str, Any]) -> list[str]:
        known = by_canonical_name(metrics)
        names = [known[name] for name in map(canonical, self.first) if name in known]
        names += sorted(name for name in metrics if canonical(name).startswith("val/") and name not in names)
        return names + sorted(name for name in trainer.progress_bar_metrics if name in metrics and name not in names)

    def _layout(self, trainer: Any, facts: dict[str, str], width: float) -> list[Column]:
        known = by_canonical_name(self._expected)
        names = [known[name] for name in map(canonical, self.first) if name in known]
        names += [name for name in self._expected if name not in names]
        middle = ends_within_epochs(trainer)
        end = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs > 0 else None
        epoch = len(f"{end}/{end}" if end else "1000") + 3 * middle
        columns = [Column("epoch", "epoch", max(epoch, 5), 0)]
        if middle:
            steps = len(f"{trainer.max_steps}/{trainer.max_steps}") if trainer.max_steps > 0 else 7
            columns.append(Column("step", "step", max(steps, 4), 4.5))
        columns += table.metric_columns(names, self.monitored[0] if self.monitored else None)
        for place, name in enumerate(rates(trainer)):
            columns.append(Column(name, table.title_of(name), max(len(table.title_of(name)), 8), 5.5 + 10 * place))
        columns.append(Column("time", "time", 8, 3.5))
        columns += [Column("left", "left", 8, 6)] if facts["left"] else []
        return table.fitting(columns, width)

    def _is_best(self, values: dict[str, float]) -> bool:
        if self.monitored is None or self.monitored[0] not in values:
            return False
        value, smaller = values[self.monitored[0]], self.monitored[1] == "min"
        if math.isnan(value) or (self.best is not None and not (value < self.best if smaller else value > self.best)):
            return False
        self.best = value
        return True


def monitored(trainer: Any, module: Any, names: Iterable[str]) -> tuple[str, Direction] | None:
    """Return the value that tells which epoch is the best, with its direction: the checkpoint's, else `val/loss`."""
    known = by_canonical_name(names)
    saver = trainer.checkpoint_callback
    monitor = getattr(saver, "logged_as", None) or getattr(saver, "monitor", None) or "val/loss"
    name = monitor if monitor in names else known.get(canonical(monitor))
    mode = getattr(saver, "mode", None) if getattr(saver, "monitor", None) else None
    direction = mode if mode in ("min", "max") else name and known_direction(name, directions_of(module))
    return (name, direction) if name and direction else None


def rates(trainer: Any) -> dict[str, float]:
    """Return the learning rate of each optimizer's first group: `lr`, or several by the names of their schedules."""
    found: dict[str, float] = {}
    schedules = {id(config.scheduler.optimizer): config.name for config in trainer.lr_scheduler_configs}
    for number, optimizer in enumerate(trainer.optimizers, start=1):
        group = next((group for group in optimizer.param_groups if "lr" in group), None)
        if group is not None:
            name = schedules.get(id(optimizer)) or f"lr {number}"
            found["lr" if len(trainer.optimizers) == 1 else name] = float(group["lr"])
    return found


def ends_within_epochs(trainer: Any) -> bool:
    """Return whether a row may end in the middle of an epoch: by a validation, or because the run ends there."""
    limited = trainer.max_steps > 0 or any(isinstance(each, Timer) for each in trainer.callbacks)
    every = getattr(trainer, "val_check_interval", None)  # absent where it is a time
    return bool(limited or trainer.check_val_every_n_epoch is None or every != 1.0)
