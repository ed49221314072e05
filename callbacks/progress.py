"""Progress where there is no terminal: one line an epoch."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

SHOWN = ("train/loss", "val/loss", "train/accuracy", "val/accuracy")


class EpochLines(ProgressBar):
    """Prints one line at the end of each epoch: losses, accuracies, rate, seconds. For log files and pipes.

    Args:
        metrics: Names of what is shown first, where it is logged; every other `val/` metric follows.
    """

    def __init__(self, metrics: tuple[str, ...] = SHOWN) -> None:
        super().__init__()
        self.metrics = metrics
        self._started = 0.0
        self._enabled = True
        self._pending: tuple[str, str] | None = None

    def disable(self) -> None:
        """Be quiet (Lightning calls this on every rank but the first)."""
        self._enabled = False

    def enable(self) -> None:
        """Speak again."""
        self._enabled = True

    def print(self, *args: Any, **kwargs: Any) -> None:
        """Print between the lines."""
        if self._enabled:
            print(*args, **kwargs)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock also where a resumed run begins in the midst of an epoch."""
        self._started = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line of the epoch before; start the clock."""
        self._flush(trainer)
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note rate and time; the module logs its means after this hook, so the line is printed at the next one."""
        epochs = trainer.max_epochs if trainer.max_epochs and trainer.max_epochs > 0 else "?"
        rate = f"  lr {trainer.optimizers[0].param_groups[0]['lr']:.3g}" if trainer.optimizers else ""
        seconds = time.monotonic() - self._started
        self._pending = (f"epoch {trainer.current_epoch + 1}/{epochs}", f"{rate}  {seconds:.1f} s")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the last line."""
        self._flush(trainer)

    def _flush(self, trainer: Trainer) -> None:
        if self._pending is None:
            return
        (head, tail), self._pending = self._pending, None
        metrics = trainer.callback_metrics
        names = [name for name in self.metrics if name in metrics]
        names += sorted(name for name in metrics if name.startswith("val/") and name not in names)
        values = "  ".join(f"{name} {float(metrics[name]):.4f}" for name in names)
        self.print(f"{head}  {values}{tail}", flush=True)
