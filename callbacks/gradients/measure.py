"""Compute gradient norms on the device, in total and by layer, and find out how a trainer clips and scales."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from lightning_modules.optimizers.clipping import Norms, gradient_norms

EPSILON = 1e-6  # what torch's clipping by norm adds to the norm


def total_norms(optimizer: Optimizer, clipped_by_norm: bool = False) -> Norms:
    """Return the 2-norm of all gradients of the optimizer, 0 without any; and torch's, if clipping uses that one."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    return gradient_norms(gradients, clipped_by_norm)


def total_norm(optimizer: Optimizer) -> Tensor:
    """Return the 2-norm of all gradients of the optimizer, `()`; 0 without any."""
    return total_norms(optimizer).true


def layer_norms(module: LightningModule, optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the 2-norm of the gradients of each layer's own parameters, as far as the optimizer has them."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    norms = {}
    for name, layer in module.named_modules():
        grads = [p.grad for p in layer.parameters(recurse=False) if id(p) in own and p.grad is not None]
        if grads:
            norms[name or type(layer).__name__] = gradient_norms(grads, clipped_by_norm=False).true
    return norms


def clipped_norm(norm: float, clip: float, total: float | None = None) -> float:
    r"""Return the norm after clipping by norm, $n \cdot \min(1, c / (t + 10^{-6}))$.

    Args:
        norm: $n$, of all gradients or of a layer's.
        clip: $c$ > 0.
        total: $t$, the norm of all gradients; `None`: equal to `norm`.

    Example:
        >>> round(clipped_norm(4.0, clip=1.0), 6), clipped_norm(0.5, clip=1.0)
        (1.0, 0.5)
    """
    return norm * min(1.0, clip / ((norm if total is None else total) + EPSILON))


def clipping_of(trainer: Trainer, module: LightningModule) -> tuple[str, float | None]:
    """Return how a trainer clips this module's gradients, and the threshold.

    Returns:
        `("none", None)`; `("norm", c)`; or `("other", None)`, where the norm after clipping must be measured: by value,
        by the module's own hook, by hand in manual optimization.
    """
    own = type(module).configure_gradient_clipping is not LightningModule.configure_gradient_clipping
    if not module.automatic_optimization or (own and not measures_own_norm(module)):
        return "other", None
    value = trainer.gradient_clip_val
    if not value:
        return "none", None
    if str(getattr(trainer.gradient_clip_algorithm, "value", trainer.gradient_clip_algorithm)) == "value":
        return "other", None
    return "norm", float(value)


def measures_own_norm(module: LightningModule) -> bool:
    """Return whether the module stores the norm of its clipping in `grad_norm`, as Descent's modules do."""
    own = type(module).configure_gradient_clipping is not LightningModule.configure_gradient_clipping
    return own and hasattr(type(module), "grad_norm") and module.automatic_optimization


def scaler_of(trainer: Trainer) -> Any:
    """Return the gradient scaler, if the precision has one."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler if scaler is not None and scaler.is_enabled() else None


def current_scale(trainer: Trainer, device: torch.device) -> Tensor | None:
    """Return the scaler's scale, `()`, on the device; `None` without one. `get_scale()` would wait for the device."""
    scaler = scaler_of(trainer)
    return None if scaler is None else scaler.scale(torch.ones((), device=device)).detach()
