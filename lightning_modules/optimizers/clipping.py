"""Gradient clipping that computes the norm once, for clipping and for logging."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn import Parameter
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from foundation.compat.torch import multiply_in_place, norms_of

PIECE = 2**16  # elements
HALF = (torch.bfloat16, torch.float16)
FAST_ON = ("cpu", "cuda")


def optimized_parameters(optimizer: Optimizer) -> list[Parameter]:
    """Return every parameter that the optimizer updates, in the order of its groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


class Norms(NamedTuple):
    """The total 2-norm of gradients, each `()`.

    Args:
        true: The norm, as exact as its dtype allows.
        divisor: torch's norm, which clipping divides by. The same tensor where there is no difference.
    """

    true: Tensor
    divisor: Tensor


def gradient_norms(gradients: list[Tensor], clipped_by_norm: bool) -> Norms:
    """Return the total 2-norm, and, for clipping by norm, the one that torch computes.

    On a CPU torch adds up the squares of a float32 tensor one by one: the error of the norm is 1e-5 for a million
    elements and 4e-4 for ten million. Pieces of 65,536 elements reduce it to 2e-7. Of gradients in half precision torch
    returns a norm in half precision, which is off by up to 4e-3; here it is a float32.

    Args:
        gradients: The gradients of all parameters.
        clipped_by_norm: Whether torch's own norm is needed too; for large tensors it takes a second pass.
    """
    norms = _norms(gradients, clipped_by_norm)
    true = whole(norms.true)
    return Norms(true, true if norms.divisor is norms.true else whole(norms.divisor))


def _norms(gradients: list[Tensor], clipped_by_norm: bool) -> Norms:
    """Return the norms; those of shards stay in the form that clipping needs."""
    pieces = [piece for gradient in gradients for piece in _pieces(gradient)]
    true = _total_norm(pieces)
    differs = len(pieces) > len(gradients) or any(is_half(gradient) for gradient in gradients)
    return Norms(true, get_total_norm(gradients) if clipped_by_norm and differs else true)


def is_half(gradient: Tensor) -> bool:
    """Return whether a gradient is in bfloat16 or float16, and no shard."""
    return gradient.dtype in HALF and type(gradient) is Tensor


def whole(norm: Tensor) -> Tensor:
    """Return the norm of FSDP2's shards as one number known to all processes, and any other norm unchanged."""
    return norm if type(norm) is Tensor else getattr(norm, "full_tensor", lambda: norm)()


def _pieces(gradient: Tensor) -> tuple[Tensor, ...]:
    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    number = gradient.numel()
    if number <= PIECE or type(gradient) is not Tensor or not gradient.is_cpu or gradient.dtype != torch.float32:
        return (gradient,)
    if gradient.is_contiguous():
        return gradient.view(-1).split(PIECE)
    return gradient.split(max(PIECE * len(gradient) // number, 1))  # channels_last: split into whole rows


def _total_norm(gradients: list[Tensor]) -> Tensor:
    """Return the bits of torch's `get_total_norm`; in half the time for plain float32 gradients on one device."""
    if any(is_half(gradient) for gradient in gradients):
        device = gradients[0].device
        norms = [vector_norm(g, dtype=torch.float32) if is_half(g) else vector_norm(g) for g in gradients]
        return vector_norm(torch.stack([norm.float().to(device) for norm in norms]))
    if not _all_plain(gradients):
        return get_total_norm(gradients)
    return vector_norm(torch.stack(norms_of(gradients)))


def _scale(parameters: list[Parameter], clip_val: float, norm: Tensor) -> None:
    """Scale as torch's `clip_grads_with_norm_` does, bit by bit, and likewise faster."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not _all_plain(gradients):
        clip_grads_with_norm_(parameters, clip_val, norm)
        return
    multiply_in_place(gradients, torch.clamp(clip_val / (norm + 1e-6), max=1.0))


def _all_plain(gradients: list[Tensor]) -> bool:
    kinds = {(type(g), g.device, g.dtype, g.requires_grad) for g in gradients}
    if len(kinds) != 1:
        return False
    kind, device, dtype, differentiable = kinds.pop()
    return kind is Tensor and device.type in FAST_ON and dtype == torch.float32 and not differentiable


def clip_gradients_once(parameters: Iterable[Parameter], clip_val: float | None, algorithm: str | None) -> Norms:
    r"""Clip the gradients in place and return their total 2-norm from *before* the clip, on the device.

    By norm: $g \leftarrow g \cdot \min\!\left(1, \frac{c}{\lVert g \rVert_2 + 10^{-6}}\right)$; by value:
    $g_i \leftarrow \max(-c, \min(c, g_i))$. The results are bit-identical to Lightning's own clipping.

    Args:
        parameters: The parameters; those without a gradient are ignored.
        clip_val: The bound $c$. `None` or 0: compute the norm without clipping.
        algorithm: `"norm"` (also when `None`) or `"value"`.
    """
    parameters = list(parameters)
    by_norm = bool(clip_val) and algorithm != "value"
    norms = _norms([p.grad for p in parameters if p.grad is not None], by_norm)
    if by_norm and clip_val:
        _scale(parameters, clip_val, norms.divisor)
    elif clip_val:
        clip_grad_value_(parameters, clip_val)
    return norms if type(norms.true) is Tensor else Norms(whole(norms.true), whole(norms.divisor))
