"""Run a step again on a copy, and name the first place in it that is not finite."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from foundation.random_streams import set_random_state
from foundation.trial_fit import private_fit


@dataclass(frozen=True)
class Fault:
    """The first non-finite value of a step.

    Args:
        kind: `weight`, `batch`, `activation`, `loss` or `gradient`.
        name: The parameter or module; for a gradient the module whose backward made it.
        value: `NaN` or `inf`.
        loss: The losses of the step's batches, as far as they were computed.
    """

    kind: str
    name: str
    value: str
    loss: tuple[float, ...] = ()

    def __str__(self) -> str:
        """In words."""
        where = {
            "weight": f"{self.value} in the weights {self.name}, before the step",
            "batch": f"{self.value} in the batch itself",
            "activation": f"{self.value} first in the output of {self.name}",
            "loss": f"{self.value} in the loss, every layer's output being finite",
            "gradient": f"{self.value} first in the gradient made by the backward of {self.name}",
        }
        return where[self.kind]


class _TracedError(Exception):
    """Ends the traced step before the optimizer is called."""


class FaultTrace(Callback):
    """Watches every module's output and gradients in one optimizer step of a copy.

    Args:
        random: The state of the random streams before each batch.
    """

    def __init__(self, random: list[dict[str, Any]]) -> None:
        self.random = random
        self.fault: Fault | None = None
        self.losses: list[Tensor] = []
        self._gradients: list[tuple[str, str, str | None]] = []  # side, module, what is wrong

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the weights; listen to every module."""
        for name, tensor in [*pl_module.named_parameters(), *pl_module.named_buffers()]:
            self._note("weight", name, tensor)
        for name, module in pl_module.named_modules():
            if module is not pl_module:
                module.register_forward_pre_hook(self._before(name))
                module.register_forward_hook(self._after(name))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Draw what was drawn."""
        if batch_idx < len(self.random):
            set_random_state(self.random[batch_idx])
        for tensor in tensors_in(batch):
            self._note("batch", "batch", tensor)

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            for tensor in tensors_in(arguments):
                self._watch(tensor, "input", name)

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                self._note("activation", f"{name} ({type(module).__name__})", tensor)
                self._watch(tensor, "output", name)

        return hook

    def _watch(self, tensor: Tensor, side: str, name: str) -> None:
        if tensor.requires_grad and not tensor.is_leaf:
            tensor.register_hook(
                lambda grad: self._gradients.append((side, name, bad_value(grad)))  # type: ignore[func-returns-value]
            )

    def _note(self, kind: str, name: str, tensor: Tensor) -> None:
        if self.fault is None and (value := bad_value(tensor)):
            self.fault = Fault(kind, name, value)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Look at the loss."""
        self.losses.append(loss.detach())
        self._note("loss", "loss", loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at the gradients, in the order in which the backward made them."""
        self._name_gradient()
        for name, parameter in pl_module.named_parameters():
            if parameter.grad is not None:
                self._note("gradient", name, parameter.grad)
        if self.fault is not None:
            raise _TracedError

    def _name_gradient(self) -> None:
        """The backward that was going on when the first bad gradient came: its output's had come, its input's not."""
        going_on: list[str] = []
        for side, name, value in self._gradients:
            if value is not None and self.fault is None:
                maker = going_on[-1] if going_on else f"what follows {name}"
                self.fault = Fault("gradient", maker, value)
            elif side == "output":
                going_on.append(name)
            elif name in going_on:
                going_on.remove(name)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Nothing was found: end all the same, the weights are not to be touched."""
        raise _TracedError


def bad_value(tensor: Tensor) -> str | None:
    """`NaN` or `inf` if there is one in the tensor."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all()):
        return None
    return "NaN" if bool(torch.isnan(tensor).any()) else "inf"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Every tensor in a batch, an output or the like."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)


class _Batches:
    """A loader of batches that are ready; a plain list would count as several loaders."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[Any]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def trace_step(
    module: LightningModule,
    batches: list[Any],
    random: list[dict[str, Any]],
    buffers: dict[str, Tensor],
    options: dict[str, Any],
) -> Fault | None:
    """Repeat a step on a copy of the module, and say where it is first not finite; `None` if it is nowhere.

    Args:
        module: With the weights from before the step.
        batches: The accumulation window, as the module gets them.
        random: State of the random streams before each of them.
        buffers: From before the step, by name.
        options: Of the private trainer.
    """
    trace = FaultTrace(random)

    def as_before(twin: LightningModule) -> None:
        for name, buffer in twin.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
        twin.on_after_batch_transfer = lambda batch, dataloader_idx: batch  # type: ignore[method-assign]

    with suppress(_TracedError):
        private_fit(module, _Batches(batches), trace, seed=0, adjust=as_before, **options)
    if trace.fault is None:
        return None
    losses = tuple(float(loss) for loss in trace.losses)
    return Fault(trace.fault.kind, trace.fault.name, trace.fault.value, losses)
