"""Checks of arguments and tensors, each one clear sentence.

Shapes and dtypes are checked on every call: they are known on the host. Values (labels out of range, NaN targets) are
checked on the CPU only, where looking costs no synchronisation; on an accelerator the preflight looks at the first
batch, on the CPU, with these same checks.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn


def add_weights(module: nn.Module, name: str, values: float | Sequence[float] | Tensor | None) -> None:
    """Check weights and keep them on the module: they move with it and stay out of checkpoints."""
    if values is None:
        module.register_buffer(name, None, persistent=False)
        return
    tensor = torch.as_tensor(values, dtype=torch.float32).detach().clone()
    if tensor.ndim > 1 or tensor.numel() == 0:
        raise ValueError(f"{name} must be one number a class, got shape {tuple(tensor.shape)}.")
    if not bool((tensor >= 0).all() & tensor.isfinite().all() & (tensor.sum() > 0)):
        raise ValueError(f"{name} must be finite, ≥ 0 and not all 0, got {tensor.tolist()}.")
    module.register_buffer(name, tensor, persistent=False)


def by_class(name: str, values: Tensor, output: Tensor) -> Tensor:
    """Weights `(C,)`, or one for all `()`, shaped to multiply an output `(B, C, ...)`, or `(B,)` where C is 1."""
    classes = output.shape[1] if output.ndim > 1 else 1
    if values.ndim == 1 and len(values) != classes:
        raise ValueError(f"{name} must have one number a class: got {len(values)} numbers for {classes} classes.")
    return values.to(output.device).expand(classes).view(-1, *[1] * (output.ndim - 2))


def require_floating(name: str, tensor: Tensor) -> None:
    """Refuse whole numbers where predictions are meant."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {tensor.dtype}.")


def require_same_shape(output: Tensor, target: Tensor) -> None:
    """Refuse shapes that differ: broadcasting (N, 1) against (N,) compares every sample with every other."""
    require_floating("output", output)
    if output.shape != target.shape:
        raise ValueError(
            f"output and target must have the same shape, got output {tuple(output.shape)} and target "
            f"{tuple(target.shape)}. Reshape one of them, e.g. output.squeeze(1)."
        )


def require_class_shapes(output: Tensor, target: Tensor) -> None:
    """Logits `(B, C, ...)` go with class numbers `(B, ...)` or class probabilities `(B, C, ...)`."""
    require_floating("output", output)
    if output.ndim < 2:
        raise ValueError(f"output must be logits (B, C, ...), got shape {tuple(output.shape)}.")
    soft = target.is_floating_point()
    expected = output.shape if soft else output.shape[:1] + output.shape[2:]
    if target.shape != expected:
        kind = "class probabilities" if soft else "class numbers"
        raise ValueError(
            f"target must be {kind} of shape {tuple(expected)} for output {tuple(output.shape)}, "
            f"got {target.dtype} of shape {tuple(target.shape)}."
        )


def _readable(tensor: Tensor) -> bool:
    """Whether its values can be looked at for free: on the CPU, not empty, not while compiling."""
    return tensor.device.type == "cpu" and tensor.numel() > 0 and not torch.compiler.is_compiling()


def _range(tensor: Tensor) -> tuple[float, float]:
    low, high = tensor.detach().aminmax()  # NaN anywhere makes both NaN
    return cast(float, low.item()), cast(float, high.item())


def require_labels(target: Tensor, classes: int, ignore_index: int | None) -> None:
    """Refuse class numbers outside [0, classes) that are not `ignore_index`."""
    if not _readable(target):
        return
    low, high = _range(target)
    if ignore_index is not None and (low < 0 or high >= classes):
        low, high = _range(target.masked_fill(target == ignore_index, 0))
    if low < 0 or high >= classes:
        ignored = "" if ignore_index is None else f" or ignore_index {ignore_index}"
        wrong = int(low if low < 0 else high)
        raise ValueError(f"target must hold class numbers from 0 to {classes - 1}{ignored}, got {wrong}.")


def require_values(name: str, tensor: Tensor, low: float = float("-inf"), high: float = float("inf")) -> None:
    """Refuse NaN, infinities and values outside [low, high]."""
    if not _readable(tensor):
        return
    least, most = _range(tensor)
    if not (low <= least and most <= high and abs(least) < float("inf") and abs(most) < float("inf")):
        bounds = "" if (low, high) == (float("-inf"), float("inf")) else f" and in [{low:g}, {high:g}]"
        wrong = most if low <= least and abs(least) < float("inf") else least
        raise ValueError(f"{name} must be finite{bounds}, got {wrong:g}.")
