"""Gradient clipping that computes the norm once, for the clip and for the log."""

from collections.abc import Iterable

from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer


def optimized_parameters(optimizer: Optimizer) -> list[Parameter]:
    """Every parameter that the optimizer updates, in the order of its groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def clip_gradients_once(parameters: Iterable[Parameter], clip_val: float | None, algorithm: str | None) -> Tensor:
    r"""Clip the gradients in place and return their total 2-norm from *before* the clip, shape `()`, on the device.

    By norm: $g \leftarrow g \cdot \min\!\left(1, \frac{c}{\lVert g \rVert_2 + 10^{-6}}\right)$; by value:
    $g_i \leftarrow \max(-c, \min(c, g_i))$. The results are bit-identical to Lightning's own clipping.

    Args:
        parameters: Those whose gradients count; one without a gradient is passed over.
        clip_val: The bound $c$. `None` or 0: nothing is clipped, the norm is only measured.
        algorithm: `"norm"` (also when `None`) or `"value"`.
    """
    parameters = list(parameters)
    norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_val:
        if algorithm == "value":
            clip_grad_value_(parameters, clip_val)
        else:
            clip_grads_with_norm_(parameters, clip_val, norm)
    return norm
