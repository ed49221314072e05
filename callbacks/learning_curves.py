"""The picture of a run's curves, in its folder."""

from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from callbacks.history import METRICS_FILE, plot_history


class LearningCurves(Callback):
    """Draws `figures/learning_curves.png` into the run's folder when training ends, also when it ends by an exception.

    It reads the `metrics.csv` of a `CSVLogger`; without one it draws nothing.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        folder = trainer.log_dir  # asks every process
        if not trainer.is_global_zero or folder is None:
            return
        for logger in trainer.loggers:
            logger.save()
        source = Path(folder) / METRICS_FILE
        if source.is_file():
            target = Path(folder) / "figures" / "learning_curves.png"
            target.parent.mkdir(exist_ok=True)
            plot_history(source).savefig(target, dpi=130)
