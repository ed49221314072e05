"""Changes that could make a run's steps faster: derived from the timing, and tried where that is cheap."""

import copy
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import nn

from descent.allocator import SWITCH
from descent.profiling.measurement import StepTiming, time_steps
from foundation.errors import UserError
from foundation.factories import name_of
from foundation.hardware import cpu_has_bf16, usable_cores
from lightning_modules.networks.amx_convolution import cpu_has_amx, plain_convolutions, use_amx_convolution
from lightning_modules.optimizers.implementation import declines_fused

MIN_GAIN = 1.03  # a smaller gain is noise
FIXED_COST = ("Lightning's loop", "callbacks", "logging", "clipping", "optimizer")  # does not grow with the batch
CANNOT_BE_TRIED = (UserError, MisconfigurationException, ValueError, RuntimeError)


@dataclass
class Advice:
    """A suggested change.

    Args:
        text: What was observed and what to do.
        gain: Samples per second with the change, divided by those without; `None`: not tried.
    """

    text: str
    gain: float | None = None

    def __str__(self) -> str:
        return self.text if self.gain is None else f"{self.text} (tried here: {self.gain:.2f} times as fast)"


@dataclass
class ProfiledRun:
    """A run to profile.

    Args:
        module: The module; only copies are trained.
        data: The data module.
        trainer: The trainer; only its options are used.
        steps: Steps per measurement.
        seconds: Seconds per measurement at most.
    """

    module: LightningModule
    data: Any
    trainer: Trainer
    steps: int
    seconds: float

    def measure(self, seconds: float | None = None, data: Any = None, **changed: Any) -> StepTiming:
        """Time the steps of a private copy, perhaps with changes; see `time_steps`."""
        return time_steps(
            self.module, data or self.data, self.trainer, self.steps, seconds or self.seconds, **changed
        )  # fmt: skip

    @property
    def on_cpu(self) -> bool:
        """Whether the run trains on a CPU."""
        return bool(self.trainer.strategy.root_device.type == "cpu")

    def data_with(self, **changed: Any) -> Any:
        """Return a copy of the data module with other attributes."""
        copied = copy.copy(self.data)
        for name, value in changed.items():
            setattr(copied, name, value)
        return copied


@dataclass
class Trial:
    """A change to try.

    Args:
        text: What was observed and what to do.
        changed: The change, as arguments of `ProfiledRun.measure`.
        threads: Threads of torch; `None`: unchanged.
    """

    text: str
    changed: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None


def advise(run: ProfiledRun, timing: StepTiming, tries: bool = True) -> tuple[list[Advice], list[Advice]]:
    """Return the suggested changes, and those that were tried without gain.

    Args:
        run: The run.
        timing: The timing of its steps.
        tries: Whether to try the changes; without, they are suggested without a gain.
    """
    advice = list(_observations(run, timing))
    useless = []
    for trial in _trials(run, timing):
        if not tries:
            advice.append(Advice(trial.text))
            continue
        try:
            gain = _gain(run, trial)
        except CANNOT_BE_TRIED as error:
            useless.append(Advice(f"{trial.text} (cannot be tried here: {' '.join(str(error).split())[:80]})"))
            continue
        (advice if gain >= MIN_GAIN else useless).append(Advice(trial.text, gain))
    return sorted(advice, key=lambda each: -(each.gain or 1.0)), useless


def _gain(run: ProfiledRun, trial: Trial) -> float:
    """Return the gain over two alternating rounds, so that a load by other programs affects both sides alike."""
    ratios = []
    for _ in range(2):
        before = run.measure(run.seconds / 2)
        with _threads(trial.threads):
            after = run.measure(run.seconds / 2, **trial.changed)
        ratios.append(after.rate / before.rate)
    return math.prod(ratios) ** 0.5


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _trials(run: ProfiledRun, timing: StepTiming) -> Iterator[Trial]:
    """Yield changes that can be tried in this process."""
    waits = timing.share("waiting for data")
    workers = getattr(run.data, "num_workers", None)
    if waits > 0.15 and workers is not None:
        more = max(2 * workers, min(usable_cores(), 4))
        text = f"batches wait for data {waits:.0%} of the time: raise --data.num_workers from {workers} to {more}"
        yield Trial(text, {"data": run.data_with(num_workers=more)})
    yield from _precision_trials(run)
    if run.on_cpu and timing.threads < usable_cores():
        text = f"{timing.threads} of {usable_cores()} cores compute: OMP_NUM_THREADS={usable_cores()}"
        yield Trial(text, threads=usable_cores())
    optimizer = getattr(run.module, "optimizer", None)
    if optimizer is not None and declines_fused(optimizer):
        text = f"{name_of(optimizer)} could be fused, but the config prevents it: leave out its fused and foreach"
        yield Trial(text, {"adjust": _setter("optimizer", partial(optimizer, fused=None, foreach=None))})
    fixed, batch = timing.share(*FIXED_COST), getattr(run.data, "batch_size", None)
    if fixed > 0.25 and batch:
        text = (
            f"{fixed:.0%} of a step does not grow with the batch: --data.batch_size {4 * batch}, and search the "
            "learning rate again (descent find-lr)"
        )
        yield Trial(text, {"data": run.data_with(batch_size=4 * batch)})


def _precision_trials(run: ProfiledRun) -> Iterator[Trial]:
    """Memory format, data type, and convolutions that suit them."""
    precision = str(run.trainer.precision)
    convolves = any(isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)) for part in run.module.modules())
    if convolves and getattr(run.module, "channels_last", None) is False:
        text = "channels_last is off: --model.channels_last true"
        yield Trial(text, {"adjust": _setter("channels_last", True)})
    if precision.startswith("32") and (not run.on_cpu or cpu_has_bf16()):
        text = "bf16 autocast is not used, and this device has bf16: --trainer.precision bf16-mixed"
        yield Trial(text, {"strategy": _strategy_in_bf16(run.trainer)})
    offers_amx = getattr(getattr(run.module, "network", None), "amx_convolution", False)  # then it is used already
    plain = 0 if offers_amx else plain_convolutions(run.module)
    if plain and run.on_cpu and cpu_has_amx() and "bf16" in precision:
        text = (
            f"the weight gradient of {plain} plain 3×3 convolution{'s' if plain > 1 else ''} is slow where feature "
            "maps are up to 8 pixels wide: lightning_modules.networks.amx_convolution.use_amx_convolution(network)"
        )
        yield Trial(text, {"adjust": use_amx_convolution})


def _setter(name: str, value: Any) -> Callable[[Any], None]:
    return lambda module: setattr(module, name, value)


def _strategy_in_bf16(trainer: Trainer) -> SingleDeviceStrategy:
    device = trainer.strategy.root_device
    plugin = MixedPrecision("bf16-mixed", device.type)
    return SingleDeviceStrategy(device=device, accelerator=type(trainer.accelerator)(), precision_plugin=plugin)


def _observations(run: ProfiledRun, timing: StepTiming) -> Iterator[Advice]:
    """Yield changes that need no trial, or cannot be tried in this process."""
    if run.on_cpu and os.environ.get(SWITCH) == "system":
        yield Advice(
            f"the allocator is off ({SWITCH}=system): {timing.faults:,.0f} page faults a step, {timing.system:.0%} of "
            f"the time is spent in the system's kernel: unset {SWITCH}"
        )
    if run.on_cpu and timing.threads > usable_cores():
        yield Advice(f"{timing.threads} threads share {usable_cores()} cores: OMP_NUM_THREADS={usable_cores()}")
    logging, callbacks = timing.share("logging"), timing.share("callbacks")
    if logging > 0.05:
        every = 10 * run.trainer.log_every_n_steps  # type: ignore[attr-defined]
        yield Advice(
            f"logging takes {logging:.0%} of the time: --trainer.log_every_n_steps {every} takes a tenth of it"
        )
    if timing.callbacks and callbacks > 0.1:
        slowest = max(timing.callbacks, key=lambda name: timing.callbacks[name])
        share = timing.callbacks[slowest] / max(sum(timing.seconds.values()), 1e-12)
        yield Advice(f"callbacks take {callbacks:.0%} of the time, {slowest} alone {share:.0%}")
