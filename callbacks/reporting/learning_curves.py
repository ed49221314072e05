"""Draw a run's learning curves: in a notebook, and into its folder when it ends."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger

from callbacks.reporting.curves import curves, note_of
from callbacks.reporting.history import METRICS_FILE, history
from foundation.loggers import report_path, run_folder

if TYPE_CHECKING:
    import os

    import pandas as pd
    from matplotlib.figure import Figure


def plot_history(run: "str | os.PathLike[str] | pd.DataFrame", metrics: Sequence[str] = ()) -> "Figure":
    """Draw loss, accuracy, the losses of a GAN and the learning rate by epoch, for training and validation.

    Args:
        run: As for `history`, or the table that it returns.
        metrics: Quantities to draw in their place, such as `f1`.

    Returns:
        A figure without a window: a notebook shows it, `figure.savefig(path)` saves it.
    """
    import pandas as pd

    return curves([("", run if isinstance(run, pd.DataFrame) else history(run))], metrics)


class LearningCurves(Callback):
    """Draw `figures/learning_curves.png` into the run's folder when training ends, also by an exception.

    It reads the `metrics.csv` of a `CSVLogger`; without one it draws nothing. It logs nothing.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the curves."""
        folder = run_folder(trainer)  # a broadcast: every process calls it
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            logger.save()
        tables = [Path(logger.log_dir, METRICS_FILE) for logger in trainer.loggers if isinstance(logger, CSVLogger)]
        if tables and tables[0].is_file():
            kinds = [type(callback).__name__ for callback in trainer.callbacks]  # type: ignore[attr-defined]
            figure_of(tables[0], kinds).savefig(report_path(trainer, folder, "figures/learning_curves.png"), dpi=150)


def figure_of(file: Path, kinds: Sequence[str]) -> "Figure":
    """Return the figure of a run.

    Args:
        file: Its `metrics.csv`.
        kinds: Class names of its callbacks.
    """
    return curves([("", history(file))], note=note_of(kinds))
