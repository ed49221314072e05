"""The trainer of a trial: its own loops run until they are stopped, but the module reads the facts of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers.logger import DummyLogger

from foundation.compat.lightning_loops import restart_training_batches
from foundation.trial.world import World


class SilentLogger(DummyLogger):
    """A logger that accepts everything and records nothing.

    Args:
        folder: A folder that is removed after the trial.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    @property
    def save_dir(self) -> str:
        """The folder."""
        return self.folder

    @property
    def log_dir(self) -> str:
        """The folder."""
        return self.folder

    @property
    def root_dir(self) -> str:
        """The folder."""
        return self.folder


class ShownData(LightningDataModule):
    """The run's data module as a tried module sees it: everything can be read, and no hook of a trainer reaches it.

    Args:
        real: Returns the data module; called when it is first asked for something.
    """

    def __init__(self, real: Callable[[], Any]) -> None:
        super().__init__()
        self.real = real

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "real":
            raise AttributeError(name)
        return getattr(self.real(), name)

    @property
    def hparams(self) -> Any:
        """Those of the data module."""
        return self.real().hparams

    def train_dataloader(self) -> Any:
        """Return the data module's loader."""
        return self.real().train_dataloader()

    def val_dataloader(self) -> Any:
        """Return the data module's loader."""
        return self.real().val_dataloader()


class TrialTrainer(Trainer):
    """A trainer without end whose epoch, step, lengths, callbacks and data are those of a run.

    Args:
        world: The run.
        folder: Shown as the folder for files; removed after the trial.
        **options: Of the trainer.
    """

    world: World | None = None

    def __init__(self, world: World, folder: str, **options: Any) -> None:
        if "logger" not in options:
            options["logger"] = [SilentLogger(folder) for _ in range(world.loggers)] or False
        options["callbacks"] = [_Endless(), *options.get("callbacks", [])]
        super().__init__(
            **{"default_root_dir": folder} | options,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            max_epochs=-1,
            limit_val_batches=0,
            num_sanity_val_steps=0,
        )
        self.world = world
        self.folder = folder
        if world.datamodule is not None:
            self.datamodule = ShownData(world.datamodule)

    @property
    def max_epochs(self) -> int | None:
        """The run's."""
        return super().max_epochs if self.world is None else self.world.limits[0]

    @property
    def max_steps(self) -> int:
        """The run's."""
        return super().max_steps if self.world is None else self.world.limits[1]

    @property
    def current_epoch(self) -> int:
        """The run's, however often the trial has gone through the data."""
        return super().current_epoch if self.world is None else self.world.epoch

    @property
    def global_step(self) -> int:
        """The steps of the run and those of the trial."""
        return super().global_step + (0 if self.world is None else self.world.step)

    @property
    def log_dir(self) -> str | None:
        """A folder that is removed after the trial."""
        return getattr(self, "folder", None)

    @property
    def num_training_batches(self) -> int | float:
        """The run's, where the trial has only some of the run's batches."""
        return super().num_training_batches if self._shown is None else self._shown.num_training_batches

    @property
    def train_dataloader(self) -> Any:
        """The run's, where the trial has only some of the run's batches."""
        shown = None if self._shown is None else self._shown.train_dataloader
        return super().train_dataloader if shown is None else shown

    @property
    def val_dataloaders(self) -> Any:
        """The run's."""
        run = self._run_trainer
        return super().val_dataloaders if run is None else run.val_dataloaders

    @property
    def callback_metrics(self) -> Any:
        """What the run has logged so far."""
        run = self._run_trainer
        return super().callback_metrics if run is None else {**run.callback_metrics, **super().callback_metrics}

    @property
    def checkpoint_callbacks(self) -> Any:
        """The run's."""
        run = self._run_trainer
        return super().checkpoint_callbacks if run is None else run.checkpoint_callbacks  # type: ignore[attr-defined]

    @property
    def early_stopping_callbacks(self) -> Any:
        """The run's."""
        run = self._run_trainer
        return super().early_stopping_callbacks if run is None else run.early_stopping_callbacks

    @property
    def _run_trainer(self) -> Any:
        return None if self.world is None else self.world.trainer

    @property
    def _shown(self) -> Trainer | None:
        """The run's trainer if its data is shown and loaded."""
        run = self._run_trainer
        shown = run is not None and self.world is not None and self.world.shows_data
        return run if shown and run.num_training_batches != float("inf") else None


class _Endless(Callback):
    """Keep the loop going beyond the run's epochs, which Lightning takes over from what the module is shown."""

    def __init__(self) -> None:
        self.passes = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the limits of the loops, and schedules that watch a metric."""
        trainer.fit_loop.max_epochs, trainer.fit_loop.epoch_loop.max_steps = -1, -1
        trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
        if pl_module.automatic_optimization:  # there is no validation whose metrics a schedule could watch
            configs = trainer.lr_scheduler_configs
            configs[:] = [config for config in configs if not config.reduce_on_plateau]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start each pass after the first; Lightning does it only where the epoch that it reads is not 0."""
        if self.passes and trainer.current_epoch == 0:
            restart_training_batches(trainer)
        self.passes += 1
