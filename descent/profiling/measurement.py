"""Train a private copy for some steps under the clock."""

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
from lightning.pytorch.callbacks import Checkpoint, EarlyStopping, ProgressBar
from lightning.pytorch.cli import SaveConfigCallback
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from callbacks.learning_rate.finder import LRFinder
from callbacks.non_finite.black_box import BlackBox
from callbacks.reporting.history import LearningCurves
from callbacks.reporting.predictions import PredictionTable
from callbacks.resuming.preemption import Preemption
from descent.profiling.clock import StepClock
from descent.runs.loggers import run_loggers
from foundation.trial_fit import trainer_options, trial_fit

WARM_UP = 3  # steps: memory formats are chosen, buffers made
ENDING = (EarlyStopping, Preemption, LRFinder, BlackBox)
WRITING = (Checkpoint, ProgressBar, SaveConfigCallback, LearningCurves, PredictionTable)
LOGGED_EVERY = 5  # at most, so that a short measurement sees enough of it


@dataclass
class Measured:
    """What some steps took.

    Args:
        steps: Their number.
        samples: In a batch.
        seconds: Of all steps, by part.
        callbacks: Seconds of all steps, by callback.
        flops: Of a step, forward and backward.
        faults: Pages that the system had to give, a step.
        system: Share of the time that the system took.
        threads: That torch computed with.
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
        """Seconds of a step."""
        return sum(self.seconds.values()) / max(self.steps, 1)

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.samples / self.step

    def share(self, *parts: str) -> float:
        """Of the time."""
        return sum(self.seconds.get(part, 0.0) for part in parts) / max(sum(self.seconds.values()), 1e-12)


class _Stopwatch(Callback):
    """Warms up, counts the operations of a step, then measures until there are enough steps or the time is over."""

    def __init__(self, clock: StepClock, steps: int, seconds: float) -> None:
        self.clock, self.steps, self.limit = clock, steps, seconds
        self.found = Measured(threads=torch.get_num_threads())
        self.done = 0
        self.counter: Any = None
        self.began: tuple[float, Any] = (0.0, None)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Count in the first step."""
        if self.done == 0:
            self.found.samples = samples_in(batch)
            self.counter = FlopCounterMode(display=False)
            self.counter.__enter__()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start the clock after the warm-up, stop when it is enough."""
        if self.done == 0:
            self.stop_counting()
        self.done += 1
        if self.done == WARM_UP:
            self.clock.reset()
            self.began = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        elapsed = time.perf_counter() - self.began[0]
        if self.done >= WARM_UP + self.steps or (self.done >= WARM_UP + 3 and elapsed > self.limit):
            trainer.should_stop = True
            self._finish(elapsed)

    def stop_counting(self) -> None:
        """Also after an exception: the mode must not outlive the step."""
        if self.counter is not None:
            self.counter.__exit__(None, None, None)
            self.found.flops = self.counter.get_total_flops()
            self.counter = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Count no longer."""
        self.stop_counting()

    def _finish(self, elapsed: float) -> None:
        self.clock.charge()
        now, before = resource.getrusage(resource.RUSAGE_SELF), self.began[1]
        found = self.found
        found.steps = self.done - WARM_UP
        found.seconds = dict(self.clock.seconds)
        found.callbacks = dict(self.clock.callbacks)
        found.faults = (now.ru_minflt - before.ru_minflt) / found.steps
        found.system = (now.ru_stime - before.ru_stime) / max(elapsed, 1e-9)


def samples_in(batch: Any) -> int:
    """The length of the first tensor."""
    while isinstance(batch, (tuple, list)) and batch:
        batch = batch[0]
    if isinstance(batch, dict) and batch:
        batch = next(iter(batch.values()))
    return len(batch) if hasattr(batch, "__len__") else 1


def profiled_fit(
    module: LightningModule,
    data: Any,
    trainer: Trainer,
    steps: int,
    seconds: float,
    adjust: Callable[[Any], None] | None = None,
    **changed: Any,
) -> Measured:
    """Train a copy with the trainer's device, precision, clipping, accumulation, callbacks and logs.

    Left out are validation, schedule, checkpoints, progress bar, and callbacks that end or search. Logs go to a folder
    that is gone afterwards.

    Args:
        module: As it is; a copy is trained.
        data: As it is; a copy is used.
        trainer: As it is; not started.
        steps: That are measured, ≥ 3, after the warm-up.
        seconds: End earlier after so many.
        adjust: Changes the copy, to try what that brings.
        **changed: Options of the private trainer, likewise.
    """
    on_cuda = trainer.strategy.root_device.type == "cuda"
    clock = StepClock(torch.cuda.synchronize if on_cuda else None)
    watch = _Stopwatch(clock, steps, seconds)
    every = trainer.log_every_n_steps or 0  # type: ignore[attr-defined]
    often = min(every, LOGGED_EVERY)
    with TemporaryDirectory(prefix="profile-") as folder:
        logger: Any = run_loggers(Path(folder) / "0") if trainer.loggers or every else False
        for each in logger or []:
            each.log_metrics = clock.timed("logging", each.log_metrics)
        options = trainer_options(trainer) | {
            "logger": logger,
            "log_every_n_steps": often,
            "callbacks": _copied(trainer.callbacks),  # type: ignore[attr-defined]
            "profiler": clock,
            "default_root_dir": folder,
        }

        def prepare(twin: LightningModule) -> None:
            _watch(clock, twin)
            if adjust is not None:
                adjust(twin)

        trial_fit(module, data, watch, 0, prepare, logged=True, **(options | changed))
    if often and every:
        watch.found.seconds["logging"] = watch.found.seconds.get("logging", 0.0) * often / every
    return watch.found


def _watch(clock: StepClock, twin: LightningModule) -> None:
    for name, part in (("network", "forward"), ("loss", "loss")):
        if isinstance(getattr(twin, name, None), nn.Module):
            clock.watch(getattr(twin, name), part)
    twin.log = clock.timed("logging", twin.log)  # type: ignore[method-assign]


def _copied(callbacks: list[Callback]) -> list[Callback]:
    return [copy.deepcopy(each) for each in callbacks if not isinstance(each, (*ENDING, *WRITING))]
