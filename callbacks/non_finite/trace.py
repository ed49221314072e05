"""Run a step again on a copy of the module, and find the first value in it that is not finite."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from foundation.random_streams import set_random_state
from foundation.trial_fit import trial_fit


@dataclass(frozen=True)
class NonFiniteOrigin:
    """The first NaN or infinity of a step.

    Args:
        kind: `weight`, `batch`, `activation`, `loss` or `gradient`.
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
            "activation": f"{self.value} first in the output of {self.name}",
            "loss": f"{self.value} in the loss, every layer's output being finite",
            "gradient": f"{self.value} first in the gradient from the backward of {self.name}",
        }
        return where[self.kind]


class _TraceFinishedError(Exception):
    """Ends the traced step before the optimizer is called."""


class NonFiniteTracer(Callback):
    """Check every module's outputs and gradients in one optimizer step of a copy.

    Args:
        random: State of the random streams before each batch.
    """

    def __init__(self, random: list[dict[str, Any]]) -> None:
        self.random = random
        self.origin: NonFiniteOrigin | None = None
        self.losses: list[Tensor] = []
        self._gradients: list[tuple[str, str, str | None]] = []  # input or output, module, NaN or inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the weights; hook every module."""
        for name, tensor in [*pl_module.named_parameters(), *pl_module.named_buffers()]:
            self._check("weight", name, tensor)
        for name, module in pl_module.named_modules():
            if module is not pl_module:
                module.register_forward_pre_hook(self._before(name))
                module.register_forward_hook(self._after(name))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Restore the random streams of this batch; check the batch."""
        if batch_idx < len(self.random):
            set_random_state(self.random[batch_idx])
        for tensor in tensors_in(batch):
            self._check("batch", "batch", tensor)

    def _before(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any) -> None:
            for tensor in tensors_in(arguments):
                self._check_gradient(tensor, "input", name)

        return hook

    def _after(self, name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            for tensor in tensors_in(output):
                self._check("activation", f"{name} ({type(module).__name__})", tensor)
                self._check_gradient(tensor, "output", name)

        return hook

    def _check_gradient(self, tensor: Tensor, side: str, name: str) -> None:
        if tensor.requires_grad and not tensor.is_leaf:
            tensor.register_hook(
                lambda grad: self._gradients.append((side, name, non_finite(grad)))  # type: ignore[func-returns-value]
            )

    def _check(self, kind: str, name: str, tensor: Tensor) -> None:
        if self.origin is None and (value := non_finite(tensor)):
            self.origin = NonFiniteOrigin(kind, name, value)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Check the loss."""
        self.losses.append(loss.detach())
        self._check("loss", "loss", loss)

    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the module that produced the first non-finite gradient."""
        self._find_gradient()
        for name, parameter in pl_module.named_parameters():
            if parameter.grad is not None:
                self._check("gradient", name, parameter.grad)
        if self.origin is not None:
            raise _TraceFinishedError

    def _find_gradient(self) -> None:
        """Go through the gradients in their order: a module's backward runs from its output's to its input's."""
        running: list[str] = []
        for side, name, value in self._gradients:
            if value is not None and self.origin is None:
                self.origin = NonFiniteOrigin("gradient", running[-1] if running else f"what follows {name}", value)
            elif side == "output":
                running.append(name)
            elif name in running:
                running.remove(name)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """End the step without a finding."""
        raise _TraceFinishedError


def non_finite(tensor: Tensor) -> str | None:
    """Return `NaN` or `inf` if the tensor has one."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all()):
        return None
    return "NaN" if bool(torch.isnan(tensor).any()) else "inf"


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (dict, list, tuple)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from tensors_in(item)


class _Batches:
    """Loader of given batches; Lightning takes a plain list for several loaders."""

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
) -> NonFiniteOrigin | None:
    """Repeat a step on a copy of the module; return its first non-finite value, `None` if all are finite.

    Args:
        module: With the weights from before the step.
        batches: Batches of the accumulation window, on the device.
        random: State of the random streams before each of them.
        buffers: By name, from before the step.
        options: Of the trainer that repeats the step.
    """
    tracer = NonFiniteTracer(random)

    def restore(copy: LightningModule) -> None:
        for name, buffer in copy.named_buffers():
            if name in buffers:
                buffer.copy_(buffers[name])
        copy.on_after_batch_transfer = lambda batch, dataloader_idx: batch  # type: ignore[method-assign]

    with suppress(_TraceFinishedError):
        trial_fit(module, _Batches(batches), tracer, seed=0, prepare=restore, **options)
    if tracer.origin is None:
        return None
    return replace(tracer.origin, loss=tuple(float(loss) for loss in tracer.losses))
