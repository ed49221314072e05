"""Record the batches of an optimizer step, and say what is known of a step that is not finite."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.non_finite.trace import NonFiniteOrigin, RecordedStep
from callbacks.non_finite.values import containers_copied, non_finite
from foundation.random_streams import random_state

MOST_BATCHES = 16  # that are kept where a module accumulates by hand
NOT_HERE = "not finite"
"""Begins the message of a process whose own values are finite."""


def never_finite(module: nn.Module) -> list[str]:
    """Return the weights and buffers that are not finite now, such as a mask with minus infinity."""
    named = [*module.named_parameters(), *module.named_buffers()]
    return [name for name, tensor in named if readable(tensor) and non_finite(tensor)]


def readable(tensor: Tensor) -> bool:
    """Return whether a tensor has values; the parameters of a lazy layer have none before the first batch."""
    return not isinstance(tensor, (nn.UninitializedParameter, nn.UninitializedBuffer)) and tensor.device.type != "meta"


def updates_weights(trainer: Trainer) -> bool:
    """Return whether the module has an optimizer; Lightning puts one without a rate where it has none."""
    return any("lr" in group for optimizer in trainer.optimizers for group in optimizer.param_groups)


def starts_step(step: RecordedStep, trainer: Trainer, module: LightningModule) -> bool:
    """Return whether a new optimizer step begins where the module decides itself when it steps."""
    stepped = trainer.global_step != step.step or len(step.batches) >= MOST_BATCHES
    return not module.automatic_optimization and bool(step.batches) and stepped


def record_batch(step: RecordedStep, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
    """Add a batch to the step; at the first one also what the module is before it."""
    if not step.batches:
        step.buffers = {name: b.detach().clone() for name, b in module.named_buffers() if readable(b)}
        step.batch_idx, step.step, step.epoch = batch_idx, trainer.global_step, trainer.current_epoch
        plain = (int, float, bool, str)
        step.numbers = {n: v for n, v in vars(module).items() if type(v) in plain and not n.startswith("_")}
        if not module.automatic_optimization:  # `toggle_optimizer` changes it within a step
            step.trained = {name: p.requires_grad for name, p in module.named_parameters()}
    step.batches.append(containers_copied(batch))
    step.random.append(random_state())


def known_values(losses: list[Tensor], module: LightningModule, optimizer: Optimizer) -> str:
    """Say what is known without repeating the step: which loss or gradient is not finite; empty if all are."""
    for number, loss in enumerate(losses, 1):
        if value := non_finite(loss):
            return f"{value} in the loss" + (f" of batch {number} of {len(losses)} of the step" if number > 1 else "")
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    wrong = {
        name: value
        for name, p in module.named_parameters()
        if id(p) in own and p.grad is not None and (value := non_finite(p.grad))
    }
    first = next(iter(wrong), None)
    return "" if first is None else f"{wrong[first]} in the gradient of {len(wrong)} weights, the first is {first}"


def message(origin: NonFiniteOrigin | None, known: str, failure: str) -> str:
    """Return what is said of a step: its origin, or what is known and why that is all."""
    if origin is not None:
        return str(origin)
    known = known or f"{NOT_HERE} in this step"
    if failure:
        return f"{known}; where it comes from is not known, because {failure}"
    return f"{known}, but everything is finite when the step is repeated: it depends on something else than batch, \
weights and random numbers"
