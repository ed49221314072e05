"""Lightning's Trainer, whose methods are the commands that train and measure."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch import Trainer as LightningTrainer
from lightning.pytorch.callbacks import ProgressBar

from callbacks.learning_rate.finder import find_lr
from callbacks.learning_rate.search import LRSearch
from callbacks.learning_rate.suggestions import Method
from callbacks.reporting.progress import EpochBar, EpochLines
from descent.training.processes import listed, prepare_processes, with_launched_processes
from descent.training.step_overhead import NoProfiler, gpu_checked_once, idle_hooks_skipped
from foundation.errors import UserError
from lightning_modules.distributed.gathered_batch_norm import BatchNormSync

if TYPE_CHECKING:
    from descent.profiling.profile import StepProfile


class Trainer(LightningTrainer):
    """Lightning's Trainer; a command of `descent` that needs model, data and trainer is a method of it.

    Args:
        *args: As Lightning's.
        callbacks: As Lightning's; without a progress bar among them there is a line per epoch, and on a terminal a
            rich bar below.
        enable_progress_bar: As Lightning's.
        enable_model_summary: As Lightning's, but off by default: `descent` says what is trained in a line.
        **kwargs: As Lightning's.
    """

    def __init__(
        self,
        *args: Any,
        callbacks: list[Callback] | Callback | None = None,
        enable_progress_bar: bool | None = None,
        enable_model_summary: bool | None = False,
        **kwargs: Any,
    ) -> None:
        self.search: LRSearch | None = None  # what `find_lr` found
        self.profiled: StepProfile | None = None  # what `profile` found
        kwargs = with_launched_processes(kwargs)
        if kwargs.get("sync_batchnorm"):
            kwargs["plugins"] = [*listed(kwargs.get("plugins")), BatchNormSync()]
        if kwargs.get("profiler") is None:
            kwargs["profiler"] = NoProfiler()
        callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
        if enable_progress_bar is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.append(default_progress_bar())
        super().__init__(
            *args,
            callbacks=callbacks,
            enable_progress_bar=enable_progress_bar,
            enable_model_summary=enable_model_summary,
            **kwargs,
        )
        if self.world_size > 1:
            prepare_processes(self)

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """As Lightning's, without the calls that reach nothing."""
        with idle_hooks_skipped(self.callbacks), gpu_checked_once():  # type: ignore[attr-defined]
            super().fit(*args, **kwargs)

    def show_schedule(
        self,
        model: LightningModule,
        datamodule: LightningDataModule | None = None,
        out: Path | None = None,
        validation: Path | None = None,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
    ) -> None:
        """Follow the schedule of the run that `fit` would make, without training.

        Args:
            model: The module.
            datamodule: Its data, whose size gives the run's length.
            out: Folder for the figure; by default the run's, or else the working folder.
            validation: A CSV table with a column of what a plateau monitors, one value a validation, to replay.
            ckpt_path: A run whose real learning rate is drawn beside the planned one.
            weights_only: Of no meaning here; a saved config has it.
        """
        from descent.training.schedule_preview import read_table, schedules_of_run

        values = None if validation is None else read_table(validation)
        self.previews = schedules_of_run(self, model, datamodule, values)

    def find_lr(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 140,
        mode: Literal["exponential", "linear"] = "exponential",
        repeats: int = 3,
        method: Method = "nine_tenths",
        optimizer: int = 0,
        confirm: bool = False,
        confirm_steps: int = 200,
        json: bool = False,
    ) -> LRSearch:
        """Search a learning rate with this trainer's device, precision, clipping and accumulation; see `find_lr`.

        Args:
            model: The module; only copies of it are trained.
            datamodule: The data.
            ckpt_path: Checkpoint whose weights the search starts from.
            weights_only: Takes the place of a saved run's key; a checkpoint is always read without running its code.
            low: First rate.
            high: Last rate.
            steps: Optimizer steps of a repeat.
            mode: Spacing of the rates.
            repeats: Passes over the range.
            method: Which suggestion is the pick.
            optimizer: Number of the optimizer, where the module has several.
            confirm: Train shortly at a third of the pick, the pick, and three times the pick.
            confirm_steps: Optimizer steps of each.
            json: For the command line, which then prints the numbers as JSON.
        """
        if ckpt_path is not None:
            checkpoint = torch.load(ckpt_path, map_location="cpu", weights_only=True)
            model.load_state_dict(checkpoint["state_dict"], strict=False)
        self.search = find_lr(
            model, datamodule, low, high, steps, mode, repeats, method, optimizer, confirm, confirm_steps, trainer=self
        )
        return self.search

    def profile(
        self,
        model: LightningModule,
        datamodule: LightningDataModule,
        ckpt_path: str | None = None,
        weights_only: bool | None = None,
        steps: int = 50,
        seconds: float = 5.0,
        tries: bool = True,
        out: Path | None = None,
        json: bool = False,
    ) -> "StepProfile":
        """Measure where a training step's time goes, on private copies; see `descent.profiling.profile`.

        Args:
            model: The module; only copies of it are trained.
            datamodule: The data.
            ckpt_path: Of no meaning here but its run's config, and folder.
            weights_only: Of no meaning here; a saved config has it.
            steps: That are measured, at least 3.
            seconds: End a measurement earlier after so many.
            tries: Try what could be changed, and say what it brings.
            out: Folder for figure and numbers; by default the run's.
            json: For the command line, which then prints the numbers as JSON.
        """
        from descent.profiling.advice import ProfiledRun
        from descent.profiling.profile import profile_step

        if steps < 3:
            raise UserError(f"steps must be ≥ 3, got {steps}.")
        if seconds <= 0:
            raise UserError(f"seconds must be > 0, got {seconds:g}.")
        self.profiled = profile_step(ProfiledRun(model, datamodule, self, steps, seconds), tries)
        return self.profiled


def default_progress_bar() -> ProgressBar:
    """A line per epoch, and on a terminal a bar below."""
    return EpochBar() if sys.stdout.isatty() else EpochLines()
