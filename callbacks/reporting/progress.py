"""Show progress: a table with a row an epoch, and on a terminal a progress bar below."""

import math
import shutil
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from lightning.pytorch.trainer.states import TrainerFn
from rich import get_console
from rich.text import Text

from callbacks.reporting.rows import Rows
from foundation.compat.lightning_progress import LabelledBar

REDRAWS = 10  # a second; Lightning's 100 use up to a sixth of a core
SHOWN = (
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "train/generator_loss",
    "train/discriminator_loss",
)


class _Table(ProgressBar):
    """Print a row with losses, accuracies, learning rate and times of each epoch with `self.print_line`."""

    def __init__(self, metrics: tuple[str, ...] = SHOWN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics
        self.rows = Rows(metrics)
        self._pending: dict[str, str] | None = None

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note which values validation logs."""
        super().on_sanity_check_end(trainer, pl_module)
        self.rows.expect(sorted(trainer.callback_metrics))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, also of a run that is resumed in mid-epoch."""
        super().on_train_start(trainer, pl_module)
        self.rows.start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the row of the previous epoch; start the clock."""
        self._flush(trainer, pl_module)
        self.rows.start_epoch(trainer)
        super().on_train_epoch_start(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print a row of a validation in the middle of an epoch."""
        super().on_validation_end(trainer, pl_module)
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:
            return
        self.rows.validated()
        if not ends_epoch(trainer):
            self._pending = self.rows.facts(trainer)
            self._flush(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record rate and time; the module logs its means after this hook, so the next hook prints the row."""
        super().on_train_epoch_end(trainer, pl_module)
        self._pending = self.rows.facts(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last row."""
        super().on_train_end(trainer, pl_module)
        self._flush(trainer, pl_module)

    def _flush(self, trainer: Trainer, module: LightningModule) -> None:
        if self._pending is not None:
            facts, self._pending = self._pending, None
            for line, best in self.rows.lines(trainer, module, facts, self.width()):
                self.print_line(line, best)

    def print_line(self, line: str, best: bool | None) -> None:
        """Print a line of the table.

        Args:
            line: The line.
            best: Whether it has a new best value; `None`: it is a header.
        """
        self.print(line)

    def width(self) -> float:
        """Return the characters that a line may have."""
        return math.inf


def ends_epoch(trainer: Trainer) -> bool:
    """Return whether the epoch, or the run within it, ends here."""
    stops = trainer.should_stop or (trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps)
    return bool(trainer.is_last_batch or stops)


class EpochLines(_Table):
    """Print a table with a row for each epoch: losses, accuracies, learning rate, times. For log files and pipes.

    A value that is the best so far has the mark `*`: of what the checkpoint callback monitors, else of `val/loss`.
    A validation in the middle of an epoch has its own row. `left` is the time that is left of the whole run.

    Args:
        metrics: Names of logged values to show first, in any convention; every other validation metric follows, then
            what the module logs with `prog_bar=True`.
    """

    def __init__(self, metrics: tuple[str, ...] = SHOWN) -> None:
        super().__init__(metrics)
        self._enabled = True

    def disable(self) -> None:
        """Print nothing from now on (Lightning calls this on every rank but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print a line if enabled."""
        if self._enabled:
            print(*args, flush=True, **kwargs)


class EpochBar(_Table, LabelledBar):
    """Show a progress bar, and above it the table of `EpochLines` with the columns that fit the terminal.

    Args:
        metrics: As in `EpochLines`.
    """

    def __init__(self, metrics: tuple[str, ...] = SHOWN) -> None:
        super().__init__(metrics, leave=False, refresh_rate=REDRAWS)
        self._moved = 0.0

    def width(self) -> float:
        """Return the columns of the terminal; a line that is too long for it would be broken."""
        return shutil.get_terminal_size().columns

    def print_line(self, line: str, best: bool | None) -> None:
        """Print a line above the bar; on a terminal with colours the header is bold, a new best value green."""
        text = Text(line, style="bold" if best is None else "", no_wrap=True, overflow="ignore")
        if best:
            text.highlight_regex(r"\S+\*", "bold green")
        if self.is_enabled:
            get_console().print(text, soft_wrap=True)  # print() would drop the colours

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        if self.is_enabled:
            super().print(*args, **kwargs)

    def seconds_left(self, trainer: Trainer) -> float | None:
        """Return the time that is left of the whole run."""
        return self.rows.pace.left(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar only as often as it is drawn, and at the last batch; Lightning does it at every batch."""
        now = time.monotonic()
        if now - self._moved >= 1 / REDRAWS or trainer.is_last_batch:
            self._moved = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Show no metrics beside the bar: the table has them, and reading them would wait for the device."""
        return {}
