"""Show progress: one line an epoch, and on a terminal a progress bar below."""

import math
import shutil
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from foundation.compat.lightning_progress import BarFromOne
from foundation.metrics.freshness import MeasuredIn
from foundation.metrics.names import by_canonical_name, canonical

REDRAWS = 10  # a second; Lightning's 100 use up to a sixth of a core
SHOWN = (
    "train/loss",
    "val/loss",
    "train/accuracy",
    "val/accuracy",
    "train/generator_loss",
    "train/discriminator_loss",
)


class _EpochSummary(ProgressBar):
    """Print losses, accuracies, learning rate and seconds of each epoch with `self.print`, as measured in it."""

    def __init__(self, metrics: tuple[str, ...] = SHOWN, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metrics = metrics
        self._started = 0.0
        self._measured = MeasuredIn()
        self._pending: tuple[str, str] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, also of a run that is resumed in mid-epoch."""
        super().on_train_start(trainer, pl_module)
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of the previous epoch; start the clock."""
        self._flush(trainer)
        self._measured.skip(trainer.callback_metrics)
        super().on_train_epoch_start(trainer, pl_module)
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record rate and time; the module logs its means after this hook, so the next hook prints the line."""
        super().on_train_epoch_end(trainer, pl_module)
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "?"
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups if "lr" in group]
        rate = f"  lr {groups[0]['lr']:.3g}" if groups else ""
        seconds = time.monotonic() - self._started
        self._pending = (f"epoch {trainer.current_epoch + 1}/{epochs}", f"{rate}  {seconds:.1f} s")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last line."""
        super().on_train_end(trainer, pl_module)
        self._flush(trainer)

    def _flush(self, trainer: Trainer) -> None:
        if self._pending is None:
            return
        (head, tail), self._pending = self._pending, None
        new = self._measured.new(trainer.callback_metrics)  # the others are of an earlier epoch
        metrics = {name: trainer.callback_metrics[name] for name in new}
        known = by_canonical_name(metrics)
        names = [known[name] for name in map(canonical, self.metrics) if name in known]
        names += sorted(name for name in metrics if canonical(name).startswith("val/") and name not in names)
        names += sorted(name for name in trainer.progress_bar_metrics if name in metrics and name not in names)
        parts = [f"  {name} {float(metrics[name]):.4f}" for name in names]
        while len(parts) > 1 and len(head) + len(tail) + sum(map(len, parts)) > self.width():
            parts.pop()  # metrics.csv has all
        self.print(f"{head}{''.join(parts)}{tail}")

    def width(self) -> float:
        """Return the characters that a line may have."""
        return math.inf


class EpochLines(_EpochSummary):
    """Print one line at the end of each epoch: losses, accuracies, learning rate, seconds. For log files and pipes.

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


class EpochBar(_EpochSummary, BarFromOne):
    """Show Lightning's rich progress bar, with a line for each finished epoch above it, as wide as the terminal.

    Args:
        metrics: As in `EpochLines`.
    """

    def __init__(self, metrics: tuple[str, ...] = SHOWN) -> None:
        super().__init__(metrics, leave=False, refresh_rate=REDRAWS)
        self._moved = 0.0

    def width(self) -> float:
        """Return the columns of the terminal; a line that is too long for it would be broken."""
        return shutil.get_terminal_size().columns

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print above the bar."""
        if self.is_enabled:
            super().print(*args, **kwargs)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar only as often as it is drawn, and at the last batch; Lightning does it at every batch."""
        now = time.monotonic()
        if now - self._moved >= 1 / REDRAWS or trainer.is_last_batch:
            self._moved = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Show no metrics beside the bar: the lines have them, and reading them would wait for the device."""
        return {}
