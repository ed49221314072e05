"""Run a step again on a copy of the module, and find the first value in it that is not finite."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from lightning.fabric.utilities import move_data_to_device
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.non_finite.backward import BackwardRecord, bad_gradients
from callbacks.non_finite.values import containers_copied, non_finite, tensors_in
from foundation.random_streams import set_random_state
from foundation.trial.copies import ModuleCopy, set_requires_grad
from foundation.trial.fit import trial_fit
from foundation.trial.world import World

BEFORE_A_STEP = (
    "setup", "prepare_data", "configure_model", "on_fit_start", "on_train_start", "on_train_epoch_start",
    "on_exception", "teardown",
)  # fmt: skip
"""Hooks of the module that the run has called, or that belong to its end."""
OF_BATCHES = ("on_before_batch_transfer", "on_after_batch_transfer")


@dataclass(frozen=True)
class NonFiniteOrigin:
    """The first NaN or infinity of a step.

    Args:
        kind: `weight`, `batch`, `input`, `activation`, `loss`, `gradient` or `parameter`.
        name: Of the parameter or module; for a gradient of the module whose backward produced it.
        value: `NaN` or `inf`.
        loss: Losses of the step's batches, as far as they were computed.
    """

    kind: str
    name: str
    value: str
    loss: tuple[float, ...] = ()

    def __str__(self) -> str:
        """Describe it in a sentence."""
        where = {
            "weight": f"{self.value} in the weights {self.name}, before the step",
            "batch": f"{self.value} in the batch itself",
            "input": f"{self.value} first in the input of {self.name}, computed before it outside of any layer",
            "activation": f"{self.value} first in the output of {self.name}",
            "loss": f"{self.value} in the loss, every layer's output being finite",
            "gradient": f"{self.value} first in the gradient from the backward of {self.name}",
            "parameter": f"{self.value} in the gradient of the weights {self.name}",
        }
        return where[self.kind]


@dataclass
class RecordedStep:
    """What is needed to repeat the batches of one optimizer step.

    Args:
        batches: Of the accumulation window, on the device.
        random: State of the random streams before each of them.
        buffers: Of the module by name, from before the step.
        batch_idx: Number of the first batch in its epoch.
        step: Optimizer steps before it.
        epoch: From 0.
        numbers: Numbers, texts and switches among the module's own attributes, from before the step.
        trained: Which parameters needed a gradient before the step, by name; empty: as they do now.
        never_finite: Names of weights and buffers that were not finite when training started, such as a mask.
    """

    batches: list[Any] = field(default_factory=list)
    random: list[dict[str, Any]] = field(default_factory=list)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    batch_idx: int = 0
    step: int = 0
    epoch: int = 0
    numbers: dict[str, Any] = field(default_factory=dict)
    trained: dict[str, bool] = field(default_factory=dict)
    never_finite: list[str] = field(default_factory=list)

    def restore(self, module: LightningModule) -> None:
        """Give a copy of the module the state from before the step; its weights are that already."""
        for name, buffer in module.named_buffers():
            if name in self.buffers:
                buffer.copy_(self.buffers[name])
        for name, value in self.numbers.items():
            setattr(module, name, value)
        set_requires_grad(module, self.trained)


class _TraceFinishedError(Exception):
    """Ends the traced step before the optimizer is called."""


class NonFiniteTracer(Callback):
    """Check every module's inputs, outputs and gradients in one optimizer step of a copy.

    Args:
        step: The recorded step.
    """

    def __init__(self, step: RecordedStep) -> None:
        self.step = step
        self.origin: NonFiniteOrigin | None = None
        self.losses: list[Tensor] = []
        self.done = 0
        self.record = BackwardRecord()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the weights; hook every module."""
        for name, tensor in [*pl_module.named_parameters(), *pl_module.named_buffers()]:
            if name not in self.step.never_finite:
                self._check("weight", name, tensor)
        wrap_scripts(pl_module)
        for name, module in pl_module.named_modules():
            if module is not pl_module and not isinstance(module, torch.jit.ScriptModule):
                module.register_forward_pre_hook(self._before(name), with_kwargs=True)
                module.register_forward_hook(self._after(name))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the random streams of this batch; check the batch."""
        set_random_state(self.step.random[self.done])
        for tensor in tensors_in(batch):
            self._check("batch", "batch", tensor)

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, named: Any) -> None:
            self.record.enter(name, (arguments, named))
            for tensor in tensors_in((arguments, named)):
                # A mask holds infinities on purpose; it needs no gradient.
                if tensor.requires_grad or non_finite(tensor) == "NaN":
                    self._check("input", f"{name} ({type(module).__name__})", tensor)

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                self._check("activation", f"{name} ({type(module).__name__})", tensor)
            self.record.leave(name, output)

        return hook

    def _check(self, kind: str, name: str, tensor: Tensor) -> None:
        if self.origin is None and (value := non_finite(tensor)):
            self.origin = NonFiniteOrigin(kind, name, value)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Check the loss."""
        self.losses.append(loss.detach())
        self._check("loss", "loss", loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the module that produced the first non-finite gradient."""
        if self.origin is None and (found := self.record.origin(bad_gradients(pl_module))):
            self.origin = NonFiniteOrigin("gradient", *found)
        for name, parameter in pl_module.named_parameters():
            if parameter.grad is not None:
                self._check("parameter", name, parameter.grad)
        if self.origin is not None:
            raise _TraceFinishedError
        self.record = BackwardRecord()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """End the step without a finding; another optimizer may follow in manual optimization."""
        if pl_module.automatic_optimization:
            raise _TraceFinishedError

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End after the last batch."""
        self.done += 1
        if self.origin is not None or self.done == len(self.step.batches):
            raise _TraceFinishedError


class Script(nn.Module):
    """A compiled module in one that can be watched."""

    def __init__(self, script: nn.Module) -> None:
        super().__init__()
        self.script = script

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the compiled module."""
        return self.script(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("script"), name)


def wrap_scripts(module: nn.Module) -> None:
    """Put each outermost `ScriptModule`, which takes no hooks, into a module of the same name that does."""
    for name, child in module.named_children():
        if isinstance(child, torch.jit.ScriptModule):
            setattr(module, name, Script(child))
        else:
            wrap_scripts(child)


class _Batches:
    """Loader of given batches, of the length of the run's; Lightning takes a plain list for several loaders."""

    def __init__(self, batches: list[Any], length: int, before: Callable[[], None]) -> None:
        self.batches, self.length, self.before = batches, length, before

    def __iter__(self) -> Iterator[Any]:
        self.before()
        yield from self.batches

    def __len__(self) -> int:
        return self.length


def trace_step(
    module: LightningModule, step: RecordedStep, options: dict[str, Any], world: World | None = None
) -> NonFiniteOrigin | None:
    """Repeat a step on a copy of the module; return its first non-finite value, `None` if all are finite.

    Args:
        module: With the weights from before the step.
        step: The recorded step.
        options: Of the trainer that repeats the step.
        world: The run whose trainer the module asks.
    """
    tracer = NonFiniteTracer(step)
    world = world or World(step=step.step, epoch=step.epoch)

    def restore(made: ModuleCopy) -> None:
        copied: Any = made.module
        step.restore(copied)
        for name in BEFORE_A_STEP:
            setattr(copied, name, _nothing)
        for name in OF_BATCHES:
            setattr(copied, name, _same_batch)
        copied.transfer_batch_to_device = _moved  # a replay may be on another device
        run = world.trainer
        if run is not None and run.optimizers and run.lightning_module is module:
            copied.configure_optimizers = lambda: made.configured(run)

    def set_place() -> None:
        progress = places.trainer.fit_loop.epoch_loop.batch_progress.current
        progress.ready = progress.started = progress.processed = progress.completed = step.batch_idx

    places = _Place()
    length = step.batch_idx + len(step.batches)
    if world.trainer is not None and world.trainer.num_training_batches != float("inf"):
        length = max(length, int(world.trainer.num_training_batches))
    with suppress(_TraceFinishedError):
        callbacks = {"callbacks": [places, *options.pop("callbacks", [])]}
        loader = _Batches([containers_copied(batch) for batch in step.batches], length, set_place)
        trial_fit(module, loader, tracer, 0, restore, world=world, **options | callbacks)
    if tracer.origin is None:
        return None
    return replace(tracer.origin, loss=tuple(float(loss) for loss in tracer.losses))


class _Place(Callback):
    """Remembers the trainer of the trial, whose batches are counted from where the run was."""

    trainer: Any = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.trainer = trainer


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _same_batch(batch: Any, *args: Any, **kwargs: Any) -> Any:
    return batch


def _moved(batch: Any, device: torch.device, dataloader_idx: int) -> Any:
    return move_data_to_device(batch, device)
