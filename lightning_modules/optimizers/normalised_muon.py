"""The optimizer of airbench94: Muon for convolutions, whose norm stays constant, and Nesterov SGD for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.sgd import sgd

from foundation.compat.torch import add_in_place, multiply_in_place, norms_of, raise_in_place, reciprocals_of, sums_of

SMALLEST = 1e-30  # norm whose reciprocal, times the root of a number of filters, is finite
COEFFICIENTS = [(3.4445, -4.7750, 2.0315)]


class NormalisedMuon(Optimizer):
    r"""Keller Jordan's Muon of airbench94: filters keep their norm, so that the rate is the relative size of a step.

    For filter banks W (3 dimensions or more, flattened to $m \times n$), with gradient g:

    $$v \leftarrow \mu v + g, \qquad W \leftarrow \sqrt{m}\, \frac{W}{\lVert W \rVert} - \eta\, \mathrm{NS}(g + \mu v)$$

    NS denotes `ns_steps` Newton-Schulz iterations towards the nearest matrix with orthonormal rows or columns, in bf16.
    Biases, shifts and linear layers get SGD with Nesterov momentum and weight decay, with their own learning rates; a
    schedule scales all rates alike.

    The loss is a mean over the batch. airbench sums over 2,000 samples: its rates of 0.053 and 0.67 are 106 and 1340
    here.

    Args:
        params: Parameters, or parameter groups, each of which is split by the number of dimensions.
        lr: Rate η of filter banks, > 0.
        momentum: μ of filter banks, in [0, 1).
        bias_lr: Rate of parameters with one dimension, > 0.
        head_lr: Rate of matrices, > 0.
        sgd_momentum: Momentum of both, in (0, 1).
        weight_decay: Share by which both shrink in a step at the full rate, before momentum, ≥ 0.
        ns_steps: Newton-Schulz iterations, ≥ 1.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2))
        >>> [(group["kind"], group["lr"]) for group in NormalisedMuon(network.parameters()).param_groups]
        [('filters', 0.24), ('matrices', 1340.0), ('vectors', 106.0)]

    Reference:
        K. Jordan: `airbench94_muon`, 2024. K. Jordan et al.: Muon, an optimizer for hidden layers, 2024.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.24,
        momentum: float = 0.6,
        bias_lr: float = 106.0,
        head_lr: float = 1340.0,
        sgd_momentum: float = 0.85,
        weight_decay: float = 0.004,
        ns_steps: int = 3,
    ) -> None:
        for name, value in (("lr", lr), ("bias_lr", bias_lr), ("head_lr", head_lr)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}.")
        if not (0 <= momentum < 1 and 0 < sgd_momentum < 1):
            raise ValueError(f"momentum must be in [0, 1), sgd_momentum in (0, 1), got {momentum} and {sgd_momentum}.")
        if weight_decay < 0 or ns_steps < 1:
            raise ValueError(f"weight_decay must be ≥ 0 and ns_steps ≥ 1, got {weight_decay} and {ns_steps}.")
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "ns_steps": ns_steps, "kind": "filters"}
        own = {
            "filters": {},
            "matrices": {"lr": head_lr, "momentum": sgd_momentum, "weight_decay": weight_decay / head_lr},
            "vectors": {"lr": bias_lr, "momentum": sgd_momentum, "weight_decay": weight_decay / bias_lr},
        }
        super().__init__([group | own[group["kind"]] for group in _by_kind(list(params))], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; ignore parameters without a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if group["kind"] == "filters":
                self._muon_step(parameters, group)
            else:
                self._sgd_step(parameters, group)
        return loss

    def _muon_step(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        if not weights:
            return
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        for weight in weights:
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        velocities = [self.state[weight]["momentum_buffer"] for weight in weights]
        multiply_in_place(velocities, group["momentum"])
        add_in_place(velocities, gradients)
        ahead = sums_of(gradients, velocities, alpha=group["momentum"])
        updates = orthogonalised([each.flatten(1) for each in ahead], group["ns_steps"])
        norms = norms_of(weights)
        raise_in_place(norms, SMALLEST)  # filters that are 0 stay so until they get the update, instead of NaN
        scales = reciprocals_of(norms)
        multiply_in_place(scales, [len(weight) ** 0.5 for weight in weights])
        multiply_in_place(weights, scales)
        for weight, update in zip(weights, updates, strict=True):
            weight.add_(update.view(weight.shape), alpha=-group["lr"])

    def _sgd_step(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        buffers = [self.state[parameter].get("momentum_buffer") for parameter in parameters]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        sgd(
            parameters, gradients, buffers, foreach=any(parameter.is_cuda for parameter in parameters),
            weight_decay=group["weight_decay"], momentum=group["momentum"], lr=group["lr"],
            dampening=0.0, nesterov=True, maximize=False,
        )  # fmt: skip
        for parameter, buffer in zip(parameters, buffers, strict=True):
            self.state[parameter]["momentum_buffer"] = buffer


def orthogonalised(matrices: list[Tensor], steps: int, together: bool | None = None) -> list[Tensor]:
    """Return the nearly orthonormal matrix of each, in bf16, by Newton-Schulz iterations.

    Args:
        matrices: Of any shapes.
        steps: Iterations, ≥ 1.
        together: Stack those of one shape, which is one launch on a GPU instead of one for each; the results differ by
            rounding. Default: except on a CPU, where it gains nothing and earlier runs must be repeated bit for bit,
            and for sharded weights.
    """
    from timm.optim.muon import zeropower_via_newtonschulz  # importing timm takes a second

    if together is None:
        together = matrices[0].device.type != "cpu" and type(matrices[0]) is Tensor  # not a DTensor
    groups: dict[Any, list[int]] = {}
    for place, matrix in enumerate(matrices):
        groups.setdefault(matrix.shape if together else place, []).append(place)
    found: dict[int, Tensor] = {}
    for places in groups.values():
        given = matrices[places[0]] if len(places) == 1 else torch.stack([matrices[place] for place in places])
        result = zeropower_via_newtonschulz(given, steps, COEFFICIENTS)
        found |= zip(places, [result] if len(places) == 1 else result.unbind(), strict=True)
    return [found[place] for place in range(len(matrices))]


def _by_kind(params: list[Any]) -> list[dict[str, Any]]:
    """Split each group into filters, matrices and vectors; leave out empty ones."""
    groups = params if params and isinstance(params[0], dict) else [{"params": params}]
    found = []
    for group in groups:
        parameters = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        for kind, fits in (("filters", (3, 9)), ("matrices", (2, 2)), ("vectors", (0, 1))):
            own = [parameter for parameter in parameters if fits[0] <= parameter.ndim <= fits[1]]
            if own:
                found.append({**group, "params": own, "kind": kind})
    return found
