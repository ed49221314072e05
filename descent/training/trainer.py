"""Lightning's Trainer with a method for each command that needs model, data and trainer."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from lightning.pytorch.utilities import rank_zero_warn

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.learning_rate.finder import find_lr
from callbacks.learning_rate.search import LRSearch
from callbacks.learning_rate.suggestions import Method
from callbacks.reporting.progress import EpochBar, EpochLines
from datamodules.memory.steps import PlannedSteps
from descent.training.features.batch_size import search_batch_size, split_finder
from descent.training.features.callbacks import check_callbacks, check_module
from descent.training.features.flags import check_flags
from descent.training.features.initial_weights import WeightsFirst, load_weights
from descent.training.processes import as_list, prepare_processes, with_launched_processes
from descent.training.step_overhead import NoProfiler, gpu_checked_once, idle_hooks_skipped
from foundation.arguments.ranges import check_ranges
from foundation.arguments.tables import METHODS
from foundation.compat.lightning import trainer_variables
from foundation.compat.lightning_messages import mistake_in
from foundation.errors import UserError
from foundation.hardware import effective_precision
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.distributed.gathered_batch_norm import BatchNormSync

if TYPE_CHECKING:
    from descent.profiling.profile import StepProfile


Precision = Literal[
    "mixed", "16-mixed", "bf16-mixed", "32-true", "16-true", "bf16-true", "64-true", "16", "bf16", "32", "64",
    16, 32, 64, "transformer-engine", "transformer-engine-float16",
]  # fmt: skip
"""Lightning's names of precisions, and `mixed`."""


class Trainer(WeightsFirst):
    """Lightning's Trainer with the methods `show_schedule`, `find_lr` and `profile`.

    Args:
        *args: As for Lightning's Trainer.
        callbacks: As for Lightning's Trainer; unless one is a progress bar, a line per epoch is printed, and on a
            terminal a bar below. `enable_checkpointing=False` removes a `DurableCheckpoint`.
        enable_progress_bar: As for Lightning's Trainer.
        enable_model_summary: As for Lightning's Trainer, but off by default.
        precision: As for Lightning's Trainer, and `mixed`: bf16-mixed where the device computes in bf16, else 16-mixed
            on a GPU and 32-bit on a CPU.
        float32_matmul_precision: On CUDA, as in `torch.set_float32_matmul_precision`; `high` lets float32 products use
            TF32, with 10 bits of mantissa. `None` changes nothing here; the command line takes `high` for new runs.
        **kwargs: As for Lightning's Trainer; what is not given is taken from variables such as `PL_TRAINER_MAX_EPOCHS`.

    Raises:
        UserError: Flags or callbacks contradict each other, or cannot do what they say; docs/lightning_features.md
            lists them all.
    """

    def __init__(
        self,
        *args: Any,
        callbacks: list[Callback] | Callback | None = None,
        enable_progress_bar: bool | None = None,
        enable_model_summary: bool | None = False,
        precision: Precision | None = None,
        float32_matmul_precision: Literal["highest", "high", "medium"] | None = None,
        **kwargs: Any,
    ) -> None:
        self.search: LRSearch | None = None  # result of `find_lr`
        self.profiled: StepProfile | None = None  # result of `profile`
        self.run_folder: Path | None = None  # `runs/<experiment>/<n>`, where the command line has claimed one
        variables = trainer_variables()
        if enable_progress_bar is None:
            enable_progress_bar = variables.pop("enable_progress_bar", None)
        enable_model_summary = enable_model_summary or variables.pop("enable_model_summary", enable_model_summary)
        kwargs = {name: value for name, value in variables.items() if not name.startswith("enable_p")} | kwargs
        if precision == "mixed":
            kwargs["precision"], _ = effective_precision(precision, kwargs.get("accelerator", "auto"))
        elif precision is not None:
            kwargs["precision"] = precision
        check_flags(kwargs)
        kwargs = with_launched_processes(kwargs)
        if kwargs.get("sync_batchnorm"):
            kwargs["plugins"] = [*as_list(kwargs.get("plugins")), BatchNormSync()]
        callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or [])
        check_callbacks(callbacks)
        self.batch_size_finder, callbacks = split_finder(callbacks)
        if kwargs.get("enable_checkpointing") is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, DurableCheckpoint)]
        self.plans_epochs = leaves_length_open(kwargs)
        if self.plans_epochs:
            kwargs["max_epochs"] = UNPLANNED  # with None Lightning would announce them, and the data sets others
        bare = bool(kwargs.get("barebones"))  # Lightning then refuses a profiler and a progress bar
        if kwargs.get("profiler") is None and not bare:
            kwargs["profiler"] = NoProfiler()
        shows_progress = enable_progress_bar is not False and not bare
        if shows_progress and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.insert(0, default_progress_bar())  # its last row comes before what others report at the end
        super().__init__(
            *args,
            callbacks=callbacks,
            enable_progress_bar=enable_progress_bar,
            enable_model_summary=enable_model_summary,
            **kwargs,
        )
        if float32_matmul_precision is not None and self.strategy.root_device.type == "cuda":
            torch.set_float32_matmul_precision(float32_matmul_precision)
        if self.world_size > 1:
            prepare_processes(self)

    @property
    def checkpoint_callback(self) -> Checkpoint | None:
        """The checkpoint callback whose best and last files count: Descent's own, if there is one."""
        ours = (each for each in self.checkpoint_callbacks if isinstance(each, DurableCheckpoint))
        return next(ours, super().checkpoint_callback)

    @property
    def log_dir(self) -> str | None:
        """The run's folder, whatever loggers there are. It is a broadcast: every process asks for it."""
        if self.run_folder is None:
            return super().log_dir
        return str(self.strategy.broadcast(str(self.run_folder)))

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Train as Lightning does, without the calls of empty hooks."""
        module = kwargs.get("model", args[0] if args else None)
        if self.plans_epochs and not any(isinstance(data, PlannedSteps) for data in (*args, *kwargs.values())):
            rank_zero_warn(f"No limit is set (trainer.max_epochs, max_steps, max_time): training {UNPLANNED} epochs.")
        if module is not None:
            resumed = kwargs.get("ckpt_path") is not None
            check_module(self.callbacks, module, resumed)  # type: ignore[attr-defined]
            self.load_initial_weights("fit", *args, **kwargs)  # once, and not in each copy
            if self.batch_size_finder is not None:
                search_batch_size(self.batch_size_finder, self, module, kwargs.get("datamodule"), resumed)
        with mistakes_reworded(), idle_hooks_skipped(self.callbacks), gpu_checked_once():  # type: ignore[attr-defined]
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
        """Compute the schedule of the run that `fit` would start, without training.

        Args:
            model: The module.
            datamodule: The data, whose size determines the run's length.
            out: Folder for the figure; by default the run's, or else the working folder.
            validation: A CSV table with the metric that a plateau schedule monitors, one value per validation.
            ckpt_path: A run whose logged learning rate is drawn beside the planned one.
            weights_only: Ignored; a saved config has it.
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
        steps: int = 60,
        mode: Literal["exponential", "linear"] = "exponential",
        repeats: int = 1,
        method: Method = "short_runs",
        optimizer: int = 0,
        confirm: bool = False,
        confirm_steps: int = 100,
        run_steps: int | None = None,
        json: bool = False,
    ) -> LRSearch:
        """Find a learning rate with this trainer's device, precision, clipping and accumulation; see `find_lr`.

        Args:
            model: The module; only copies of it are trained.
            datamodule: The data.
            ckpt_path: Checkpoint whose weights the search starts from.
            weights_only: Ignored; a saved config has it, and a checkpoint is always read without running its code.
            low: Lowest rate.
            high: Highest rate.
            steps: Optimizer steps of a pass of the range test.
            mode: Spacing of the rates.
            repeats: Passes over the range.
            method: How to choose the rate: by short runs, or by a suggestion of the range test.
            optimizer: Index of the optimizer, where the module has several.
            confirm: Add up to four longer runs around the chosen rate.
            confirm_steps: Optimizer steps of each of these.
            run_steps: Optimizer steps of the run that the rate is for; by default those of this trainer's run.
            json: For the command line, which then prints the numbers as JSON.
        """
        if ckpt_path is not None:
            load_weights(model, Path(ckpt_path))
        elif isinstance(model, EpochModule):
            model.require_initial_weights()  # once, and not in each copy
            model.report_initial_weights()
        self.search = find_lr(
            model, datamodule, low, high, steps, mode, repeats, method, optimizer, confirm, confirm_steps,
            run_steps=run_steps, trainer=self,
        )  # fmt: skip
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
        """Measure where the time of a training step goes, on copies; see `descent.profiling.profile`.

        Args:
            model: The module; only copies of it are trained.
            datamodule: The data.
            ckpt_path: Only selects the run whose config and folder are used.
            weights_only: Ignored; a saved config has it.
            steps: Number of steps to measure, ≥ 3.
            seconds: Longest duration of a measurement, > 0.
            tries: Try possible changes, and report how much faster they are.
            out: Folder for figure and numbers; by default the run's.
            json: For the command line, which then prints the numbers as JSON.
        """
        from descent.profiling.advice import ProfiledRun
        from descent.profiling.profile import profile_step

        check_ranges("", {"steps": steps, "seconds": seconds}, METHODS["profile"])
        if isinstance(model, EpochModule):
            model.require_initial_weights()
        self.profiled = profile_step(ProfiledRun(model, datamodule, self, steps, seconds), tries)
        return self.profiled


UNPLANNED = 1000
"""Epochs of a run without any limit, in Lightning: of data that does not plan them."""


def leaves_length_open(flags: dict[str, Any]) -> bool:
    """Return whether the trainer's flags do not limit a run, so that the data plans its epochs.

    Example:
        >>> leaves_length_open({"max_epochs": None, "max_steps": -1}), leaves_length_open({"max_steps": 5})
        (True, False)
    """
    limits = ("max_epochs", "max_time", "fast_dev_run", "barebones")
    return not any(flags.get(name) not in (None, False) for name in limits) and flags.get("max_steps", -1) in (None, -1)


@contextmanager
def mistakes_reworded() -> Iterator[None]:
    """Turn the errors that Lightning raises for a mistake in a config into `UserError`."""
    try:
        yield
    except (ValueError, RuntimeError) as error:
        if (text := mistake_in(str(error))) is None:
            raise
        raise UserError(text) from error


def default_progress_bar() -> ProgressBar:
    """Return the progress output: a line per epoch, and on a terminal a bar below."""
    return EpochBar() if sys.stdout.isatty() else EpochLines()
