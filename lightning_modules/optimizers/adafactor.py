"""Adafactor without a value read from the device: torch's reads two for each parameter in every step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.optim import Optimizer


class Adafactor(Optimizer):
    r"""Adafactor: second moments as one row and one column per matrix, which saves most of Adam's memory.

    For a matrix W of n weights with gradient G, at step t:

    $$\rho = \min(\eta, 1/\sqrt t), \qquad \alpha = \max(\varepsilon_2, \mathrm{RMS}(W))\, \rho, \qquad
    \hat\beta = 1 - t^{c}$$

    $$R \leftarrow \hat\beta R + (1 - \hat\beta)\, \overline{G^2}^{\,\text{rows}}, \qquad
    C \leftarrow \hat\beta C + (1 - \hat\beta)\, \overline{G^2}^{\,\text{columns}}, \qquad
    U = G \Big/ \sqrt{R C / \overline R}$$

    $$W \leftarrow (1 - \eta\lambda) W - \alpha\, U / \max(1, \mathrm{RMS}(U) / d)$$

    A vector has its second moments whole. The state has the names and shapes of `torch.optim.Adafactor`, whose update
    this is; torch computes the two RMS on the host, and so waits for a GPU twice for each parameter.

    Args:
        params: Parameters, or parameter groups.
        lr: Largest relative rate η, ≥ 0.
        beta2_decay: Exponent c of the decay of the second moments, ≤ 0.
        eps: ε₁, below which an estimate's root does not fall (`None`: the smallest step of the dtype at 1), and ε₂, the
            smallest RMS of a weight that the rate is relative to; both ≥ 0.
        d: Largest RMS of an update before it is scaled down, ≥ 1.
        weight_decay: λ, ≥ 0.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.full((2, 3), 2.0))
        >>> weight.grad = torch.ones(2, 3)
        >>> _ = Adafactor([weight], lr=0.01).step()
        >>> round(weight[0, 0].item(), 4)
        1.98

    Reference:
        N. Shazeer, M. Stern: Adafactor: adaptive learning rates with sublinear memory cost, 2018.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
    ) -> None:
        given = {"lr": lr, "eps[0]": eps[0] or 0.0, "eps[1]": eps[1], "weight_decay": weight_decay}
        for name, value in given.items():
            if not value >= 0:
                raise ValueError(f"{name} must be ≥ 0, got {value}.")
        if not beta2_decay <= 0:
            raise ValueError(f"beta2_decay must be ≤ 0, got {beta2_decay}.")
        if not d >= 1:
            raise ValueError(f"d must be ≥ 1, got {d}.")
        super().__init__(
            params, {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; ignore parameters without a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._update(weight, weight.grad, group)
        return loss

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(())  # on the host, as torch's: reading it does not wait
            state |= _second_moments(gradient)
        state["step"] += 1
        step, rate = state["step"].item(), float(group["lr"])
        least = torch.finfo(weight.dtype).eps if group["eps"][0] is None else group["eps"][0]
        size = _rms(weight).clamp_(min=group["eps"][1]).mul_(min(rate, step**-0.5))
        if group["weight_decay"]:
            weight.mul_(1 - rate * group["weight_decay"])
        update = _estimate(state, gradient, step ** group["beta2_decay"], least)
        update.clamp_(min=least * least).rsqrt_().mul_(gradient)
        excess = _rms(update).div_(group["d"]).clamp_(min=1)
        weight.sub_(update.mul_(size.div_(excess)))


def _second_moments(gradient: Tensor) -> dict[str, Tensor]:
    if gradient.ndim < 2:
        return {"variance": torch.zeros_like(gradient, memory_format=torch.preserve_format)}
    return {"row_var": torch.zeros_like(gradient[..., :1]), "col_var": torch.zeros_like(gradient[..., :1, :])}


def _estimate(state: dict[str, Tensor], gradient: Tensor, share: float, least: float) -> Tensor:
    """Move the second moments on by this share; return the estimate of each weight's."""
    if gradient.ndim < 2:
        return state["variance"].lerp_(gradient.square(), share).clone()
    rows, columns = state["row_var"], state["col_var"]
    for moments, dim in ((rows, -1), (columns, -2)):
        moments.lerp_(vector_norm(gradient, dim=dim, keepdim=True).square_().div_(gradient.size(dim)), share)
    return (rows @ columns).div_(rows.mean(dim=-2, keepdim=True).clamp_(min=least))


def _rms(tensor: Tensor) -> Tensor:
    dtype = torch.promote_types(tensor.dtype, torch.float32)
    return vector_norm(tensor, dtype=dtype).div_(max(tensor.numel(), 1) ** 0.5)
