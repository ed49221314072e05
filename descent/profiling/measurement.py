"""Time the training steps of a private copy of the module."""

import copy
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ModelSummary, ProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics import Metric

from callbacks.learning_rate.finder import LRFinder
from callbacks.non_finite.black_box import BlackBox
from callbacks.non_finite.trace import wrap_scripts
from callbacks.non_finite.values import tensors_in
from callbacks.reporting.learning_curves import LearningCurves
from callbacks.reporting.predictions import PredictionTable
from callbacks.resuming.preemption import Preemption
from callbacks.swa import SWA
from descent.profiling.step_profiler import StepProfiler
from descent.runs.loggers import run_loggers
from foundation.compat.lightning_loops import batch_from_iterator
from foundation.trial.copies import ModuleCopy
from foundation.trial.fit import trainer_options, trial_fit
from foundation.trial.world import World

WARM_UP = 3  # steps in which memory formats are chosen and buffers allocated
LEFT_OUT = (
    EarlyStopping, Preemption, LRFinder, BlackBox,  # these end a run or search
    ModelSummary,  # would print it for each measurement
    SWA,  # needs the length of the run, and a measurement has none
    Checkpoint, ProgressBar, SaveConfigCallback, LearningCurves, PredictionTable,  # these write
)  # fmt: skip
LOGGED_EVERY = 5  # steps at most, so that a short measurement contains enough logging


@dataclass
class StepTiming:
    """What a number of training steps took.

    Args:
        steps: Number of steps.
        samples: Samples per batch.
        seconds: Seconds of all steps, by part.
        callbacks: Seconds of all steps, by callback.
        flops: Floating-point operations of a step, forward and backward.
        faults: Page faults per step.
        system: Share of the time spent in the operating system's kernel.
        threads: Threads that torch computed with.
    """

    steps: int = 0
    samples: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    callbacks: dict[str, float] = field(default_factory=dict)
    flops: int = 0
    faults: float = 0.0
    system: float = 0.0
    threads: int = 1

    @property
    def step(self) -> float:
        """Seconds per step."""
        return sum(self.seconds.values()) / max(self.steps, 1)

    @property
    def rate(self) -> float:
        """Samples per second."""
        return self.samples / self.step

    def share(self, *parts: str) -> float:
        """Return the share of the time that some parts take together."""
        return sum(self.seconds.get(part, 0.0) for part in parts) / max(sum(self.seconds.values()), 1e-12)


class _Measurement(Callback):
    """Counts the operations of the first step, warms up, then times steps until there are enough or time is up."""

    def __init__(self, profiler: StepProfiler, steps: int, seconds: float) -> None:
        self.profiler, self.steps, self.limit = profiler, steps, seconds
        self.timing = StepTiming(threads=torch.get_num_threads())
        self.done = 0
        self.counter: Any = None
        self.started: tuple[float, Any] = (0.0, None)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count operations in the first step."""
        if self.done == 0:
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start timing after the warm-up, stop when there are enough steps or the time is up."""
        if self.done == 0:
            fetched = batch_from_iterator(trainer)
            self.timing.samples = samples_in(batch if fetched is None else fetched)
            self.stop_counting()
        self.done += 1
        if self.done == WARM_UP:
            self.profiler.reset()
            self.started = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        elapsed = time.perf_counter() - self.started[0]
        if self.done >= WARM_UP + self.steps or (self.done >= WARM_UP + 3 and elapsed > self.limit):
            trainer.should_stop = True
            self._finish(elapsed)

    def stop_counting(self) -> None:
        """Leave the counting mode, which must not outlive the step, not even after an exception."""
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            self.timing.flops = self.counter.get_total_flops()
            self.counter = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the counting mode."""
        self.stop_counting()

    def _finish(self, elapsed: float) -> None:
        self.profiler.update()
        now, before = resource.getrusage(resource.RUSAGE_SELF), self.started[1]
        timing = self.timing
        timing.steps = self.done - WARM_UP
        timing.seconds = dict(self.profiler.seconds)
        timing.callbacks = dict(self.profiler.callbacks)
        timing.faults = (now.ru_minflt - before.ru_minflt) / timing.steps
        timing.system = (now.ru_stime - before.ru_stime) / max(elapsed, 1e-9)


def samples_in(batch: Any) -> int:
    """Return the length of the first tensor of a batch."""
    return next((len(tensor) for tensor in tensors_in(batch) if tensor.ndim), 1)


def time_steps(
    module: LightningModule,
    data: Any,
    trainer: Trainer,
    steps: int,
    seconds: float,
    adjust: Callable[[Any], None] | None = None,
    **changed: Any,
) -> StepTiming:
    """Train a copy with the trainer's device, precision, clipping, accumulation, callbacks and logging.

    Validation, schedule, checkpoints, progress bar and callbacks that end a run or search are left out. Logs go to a
    temporary folder.

    Args:
        module: Not changed; a copy is trained.
        data: Not changed; a copy is used.
        trainer: Not changed, not started.
        steps: Number of timed steps after the warm-up, ≥ 3.
        seconds: Stop earlier after this time.
        adjust: Changes the copy of the module, to try out the change.
        **changed: Options of the private trainer, to try out a change.
    """
    on_cuda = trainer.strategy.root_device.type == "cuda"
    profiler = StepProfiler(torch.cuda.synchronize if on_cuda else None)
    measurement = _Measurement(profiler, steps, seconds)
    every = trainer.log_every_n_steps or 0  # type: ignore[attr-defined]
    often = min(every, LOGGED_EVERY)
    with TemporaryDirectory(prefix="profile-") as folder:
        logger: Any = run_loggers(Path(folder) / "0") if trainer.loggers or every else False
        for each in logger or []:
            each.log_metrics = profiler.timed("logging", each.log_metrics)
        kept = [each for each in trainer.callbacks if not isinstance(each, LEFT_OUT)]  # type: ignore[attr-defined]
        options = trainer_options(trainer) | {
            "logger": logger,
            "log_every_n_steps": often,
            "callbacks": copy.deepcopy(kept),
            "profiler": profiler,
            "default_root_dir": folder,
        }

        def prepare(made: ModuleCopy) -> None:
            _watch(profiler, made.module)
            if adjust is not None:
                adjust(made.module)

        world = World.of(trainer, module)
        trial_fit(module, data, measurement, 0, prepare, logged=True, world=world, **(options | changed))
    timing = measurement.timing
    if often and every:  # as if it had been logged as rarely as the trainer does
        timing.seconds["logging"] = timing.seconds.get("logging", 0.0) * often / every
    return timing


def _watch(profiler: StepProfiler, module: LightningModule) -> None:
    wrap_scripts(module)
    for name, child in module.named_children():
        if not isinstance(child, Metric):
            is_loss = type(child).__module__ == "torch.nn.modules.loss" or "loss" in name or name == "criterion"
            profiler.watch(child, "loss" if is_loss else "forward")
    module.log = profiler.timed("logging", module.log)  # type: ignore[method-assign]
