"""What would make a run's steps faster: looked for in what was measured, and tried where that is cheap."""

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
from descent.profiling.measurement import Measured, profiled_fit
from foundation.errors import UserError
from foundation.factories import name_of
from foundation.hardware import cores, cpu_has_bf16
from lightning_modules.networks.amx_convolution import cpu_has_amx, plain_convolutions, use_amx_convolution
from lightning_modules.optimizers.implementation import declines_fused

WORTH = 1.03  # a gain below it is noise
OVERHEAD = ("Lightning's loop", "callbacks", "logging", "clipping", "optimizer")


@dataclass
class Advice:
    """A change that applies.

    Args:
        text: What is so, and what to do.
        gain: Samples a second with it, over those without; `None`: not tried.
    """

    text: str
    gain: float | None = None

    def __str__(self) -> str:
        return self.text if self.gain is None else f"{self.text} (tried here: {self.gain:.2f} times as fast)"


@dataclass
class Profiled:
    """What is profiled: module, data and trainer, and how long to measure."""

    module: LightningModule
    data: Any
    trainer: Trainer
    steps: int
    seconds: float

    def measure(self, seconds: float | None = None, data: Any = None, **changed: Any) -> Measured:
        """Train a private copy, with something changed perhaps."""
        return profiled_fit(
            self.module, data or self.data, self.trainer, self.steps, seconds or self.seconds, **changed
        )  # fmt: skip

    @property
    def on_cpu(self) -> bool:
        """Whether it is trained on a CPU."""
        return bool(self.trainer.strategy.root_device.type == "cpu")

    def data_with(self, **changed: Any) -> Any:
        """A copy of the data module with other attributes."""
        twin = copy.copy(self.data)
        for name, value in changed.items():
            setattr(twin, name, value)
        return twin


@dataclass
class Trial:
    """A change, as arguments of `Profiled.measure`; threads are those of torch, `None`: as they are."""

    text: str
    changed: dict[str, Any] = field(default_factory=dict)
    threads: int | None = None


def advise(run: Profiled, base: Measured, tries: bool = True) -> tuple[list[Advice], list[Advice]]:
    """What to change, and what was tried without gain.

    Args:
        run: What was profiled.
        base: What was measured of it.
        tries: Whether to try at all; otherwise what could be tried is said without a gain.
    """
    advice = list(_untried(run, base))
    useless = []
    for trial in _trials(run, base):
        if not tries:
            advice.append(Advice(trial.text))
            continue
        try:
            gain = _gain(run, trial)
        except (
            UserError,
            MisconfigurationException,
            ValueError,
            RuntimeError,
        ) as error:  # it cannot be done on this machine
            useless.append(Advice(f"{trial.text} (cannot be tried here: {' '.join(str(error).split())[:80]})"))
            continue
        (advice if gain >= WORTH else useless).append(Advice(trial.text, gain))
    return sorted(advice, key=lambda each: -(each.gain or 1.0)), useless


def _gain(run: Profiled, trial: Trial) -> float:
    """Of two turns each, in which a machine that is busy with other things changes little."""
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


def _trials(run: Profiled, base: Measured) -> Iterator[Trial]:
    waits = base.share("waiting for data")
    workers = getattr(run.data, "num_workers", None)
    if waits > 0.15 and workers is not None:
        more = max(2 * workers, min(cores(), 4))
        text = f"batches wait for data {waits:.0%} of the time: raise --data.num_workers from {workers} to {more}"
        yield Trial(text, {"data": run.data_with(num_workers=more)})
    convolves = any(isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)) for part in run.module.modules())
    if convolves and getattr(run.module, "channels_last", None) is False:
        yield Trial(
            "channels_last is off: --model.channels_last true", {"adjust": _setter("channels_last", True)}
        )  # fmt: skip
    if str(run.trainer.precision).startswith("32") and (not run.on_cpu or cpu_has_bf16()):
        text = "bf16 autocast is not used, and this device has bf16: --trainer.precision bf16-mixed"
        yield Trial(text, {"strategy": _strategy_in_bf16(run.trainer)})
    if run.on_cpu and base.threads < cores():
        text = f"{base.threads} of {cores()} cores compute: OMP_NUM_THREADS={cores()}"
        yield Trial(text, threads=cores())
    offers_amx = getattr(getattr(run.module, "network", None), "amx_convolution", False)  # then it is used already
    plain = 0 if offers_amx else plain_convolutions(run.module)
    if plain and run.on_cpu and cpu_has_amx() and "bf16" in str(run.trainer.precision):
        text = (
            f"the weight gradient of {plain} plain 3×3 convolution{'s' if plain > 1 else ''} is slow where feature "
            "maps are up to 8 pixels wide: lightning_modules.networks.amx_convolution.use_amx_convolution(network)"
        )
        yield Trial(text, {"adjust": use_amx_convolution})
    optimizer = getattr(run.module, "optimizer", None)
    if optimizer is not None and declines_fused(optimizer):
        text = f"{name_of(optimizer)} could be fused, and the config says otherwise: leave out its fused and foreach"
        undecided = partial(optimizer, fused=None, foreach=None)
        yield Trial(text, {"adjust": _setter("optimizer", undecided)})
    overhead, batch = base.share(*OVERHEAD), getattr(run.data, "batch_size", None)
    if overhead > 0.25 and batch:
        text = (
            f"{overhead:.0%} of a step does not grow with the batch: --data.batch_size {4 * batch}, and look for the "
            "learning rate anew (descent find-lr)"
        )
        yield Trial(text, {"data": run.data_with(batch_size=4 * batch)})


def _setter(name: str, value: Any) -> Callable[[Any], None]:
    return lambda twin: setattr(twin, name, value)


def _strategy_in_bf16(trainer: Trainer) -> SingleDeviceStrategy:
    device = trainer.strategy.root_device
    plugin = MixedPrecision("bf16-mixed", device.type)
    return SingleDeviceStrategy(device=device, accelerator=type(trainer.accelerator)(), precision_plugin=plugin)


def _untried(run: Profiled, base: Measured) -> Iterator[Advice]:
    """What is seen without a trial, or cannot be tried in this process."""
    if run.on_cpu and os.environ.get(SWITCH) == "system":
        yield Advice(
            f"the allocator is off ({SWITCH}=system): {base.faults:,.0f} page faults a step, {base.system:.0%} of the "
            f"time is the system's: unset {SWITCH}"
        )
    if run.on_cpu and base.threads > cores():
        yield Advice(f"{base.threads} threads share {cores()} cores: OMP_NUM_THREADS={cores()}")
    if base.share("logging") > 0.05:
        every = run.trainer.log_every_n_steps  # type: ignore[attr-defined]
        yield Advice(
            f"logging takes {base.share('logging'):.0%} of the time: --trainer.log_every_n_steps {10 * every} takes a "
            "tenth of it"
        )
    if base.callbacks and base.share("callbacks") > 0.1:
        dearest = max(base.callbacks, key=lambda name: base.callbacks[name])
        share = base.callbacks[dearest] / max(sum(base.seconds.values()), 1e-12)
        yield Advice(f"callbacks take {base.share('callbacks'):.0%} of the time, {dearest} alone {share:.0%}")
