"""Checks of the shapes, dtypes and values of a loss's tensors, and its class weights.

Shapes and dtypes are checked on every call, because the host knows them. Values (labels out of range, NaN targets) are
checked on the CPU only, where reading them needs no synchronisation; on an accelerator, the preflight copies the first
batch to the CPU and checks it there.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from foundation.compat.torch import transforms_active

_INF = float("inf")


def register_weights(
    module: nn.Module, name: str, values: float | Sequence[float] | Tensor | None, zeros: bool = False
) -> None:
    """Check weights and register them as a buffer that follows the module's device and is not in checkpoints.

    Args:
        module: The loss.
        name: Name of the argument and of the buffer.
        values: One number per class, or one for all.
        zeros: Whether all of them may be 0, because the loss is more than what they weigh.
    """
    if values is None:
        module.register_buffer(name, None, persistent=False)
        return
    tensor = torch.as_tensor(values, dtype=torch.float32).detach().clone()
    if tensor.ndim > 1 or tensor.numel() == 0:
        raise ValueError(f"{name} must be one number per class, got shape {tuple(tensor.shape)}.")
    if not bool((tensor >= 0).all() & tensor.isfinite().all() & (zeros or tensor.sum() > 0)):
        allowed = "finite and ≥ 0" if zeros else "finite, ≥ 0 and not all 0"
        raise ValueError(f"{name} must be {allowed}, got {tensor.tolist()}.")
    module.register_buffer(name, tensor, persistent=False)


def along_classes(name: str, weights: Tensor, output: Tensor) -> Tensor:
    """Reshape weights `(C,)` or `()` so that they multiply an output `(B, C, ...)`, or `(B,)` where C is 1."""
    classes = output.shape[1] if output.ndim > 1 else 1
    if weights.ndim == 1 and len(weights) != classes:
        raise ValueError(f"{name} must have one number per class: got {len(weights)} numbers for {classes} classes.")
    return weights.to(output.device).expand(classes).view(-1, *[1] * (output.ndim - 2))


_WITHOUT_ARITHMETIC = (torch.uint16, torch.uint32, torch.uint64)


def usable_labels(target: Tensor) -> Tensor:
    """Return class numbers of an unsigned type, in which torch compares and looks up little, as int64."""
    return target.long() if target.dtype in _WITHOUT_ARITHMETIC else target


def labelled(target: Tensor, ignore_index: int | None) -> Tensor | None:
    """Return which targets are not `ignore_index`; None if all are, because no target of their type can be.

    torch itself compares -100 with a uint8 as 156.
    """
    if ignore_index is None or not (target.is_floating_point() or _holds(target.dtype, ignore_index)):
        return None
    return target != ignore_index


def _holds(dtype: torch.dtype, number: int) -> bool:
    if dtype == torch.bool:
        return False  # True is a class, also where ignore_index is 1
    return torch.iinfo(dtype).min <= number <= torch.iinfo(dtype).max


def require_floating(name: str, tensor: Tensor) -> None:
    """Raise unless predictions are floating point."""
    if not tensor.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {tensor.dtype}.")


def require_same_shape(output: Tensor, target: Tensor) -> None:
    """Raise if shapes differ: (N, 1) against (N,) would broadcast and compare every sample with every other."""
    require_floating("output", output)
    if output.shape != target.shape:
        raise ValueError(
            f"output and target must have the same shape, got output {tuple(output.shape)} and target "
            f"{tuple(target.shape)}. Reshape one of them, e.g. output.squeeze(1)."
        )


def require_class_shapes(output: Tensor, target: Tensor) -> None:
    """Raise unless logits `(B, C, ...)` go with class numbers `(B, ...)` or class probabilities `(B, C, ...)`."""
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


def _is_cheap_to_read(tensor: Tensor) -> bool:
    """Whether reading values costs no synchronisation: on the CPU, not empty, not while compiling or in `vmap`."""
    if tensor.device.type != "cpu" or tensor.numel() == 0 or torch.compiler.is_compiling():
        return False
    return not transforms_active()


def _range(tensor: Tensor) -> tuple[float, float]:
    low, high = tensor.detach().aminmax()  # NaN anywhere makes both NaN
    return cast(float, low.item()), cast(float, high.item())


def require_labels(target: Tensor, classes: int, ignore_index: int | None) -> None:
    """Raise if a class number is outside [0, classes) and is not `ignore_index`."""
    if not _is_cheap_to_read(target):
        return
    low, high = _range(target)
    valid = labelled(target, ignore_index)
    if valid is not None and (low < 0 or high >= classes):
        low, high = _range(target.where(valid, 0))
    if low < 0 or high >= classes:
        ignored = "" if ignore_index is None else f" or ignore_index {ignore_index}"
        wrong = int(low if low < 0 else high)
        raise ValueError(f"target must hold class numbers from 0 to {classes - 1}{ignored}, got {wrong}.")


def require_values(name: str, tensor: Tensor, low: float = -_INF, high: float = _INF) -> None:
    """Raise if a value is NaN, infinite or outside [low, high]."""
    if not _is_cheap_to_read(tensor):
        return
    least, most = _range(tensor)
    if not (low <= least and most <= high and abs(least) < _INF and abs(most) < _INF):
        bounds = "" if (low, high) == (-_INF, _INF) else f" and in [{low:g}, {high:g}]"
        wrong = most if low <= least and abs(least) < _INF else least
        raise ValueError(f"{name} must be finite{bounds}, got {wrong:g}.")
