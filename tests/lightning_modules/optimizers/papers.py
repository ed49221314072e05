"""The update of each optimizer as its paper writes it, in float64, one parameter at a time.

`update(weight, gradient, state, h, t)` returns the new weight. `state` is the parameter's own dict, empty at first; `h`
holds the hyper-parameters of its group, and the number of calls of the optimizer as `h["calls"]`; `t` counts the
gradients that the parameter has got, from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

State = dict[str, Any]
Update = Callable[[Tensor, Tensor, State, dict[str, Any], int], Tensor]


def average(state: State, name: str, value: Tensor, beta: float) -> Tensor:
    """M ← β m + (1 - β) value, from zero."""
    state[name] = beta * state.get(name, torch.zeros_like(value)) + (1 - beta) * value
    result: Tensor = state[name]
    return result


def sgd(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """V ← μ v + g; w ← w - η v, with Nesterov w ← w - η (g + μ v). Sutskever et al., 2013."""
    g = g + h["weight_decay"] * w
    mu = h["momentum"]
    state["v"] = mu * state.get("v", torch.zeros_like(g)) + g
    return w - h["lr"] * (g + mu * state["v"] if h["nesterov"] else state["v"])


def adam_direction(g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    beta1, beta2 = h["betas"]
    m = average(state, "m", g, beta1) / (1 - beta1**t)
    v = average(state, "v", g**2, beta2) / (1 - beta2**t)
    return m / (v.sqrt() + h["eps"])


def adam(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 1 of Kingma and Ba, 2015, with L2 in the gradient."""
    return w - h["lr"] * adam_direction(g + h["weight_decay"] * w, state, h, t)


def adamw(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 2 of Loshchilov and Hutter, 2019; the decay is multiplied by the rate, as everybody does."""
    return w - h["lr"] * (adam_direction(g, state, h, t) + h["weight_decay"] * w)


def rmsprop(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Lecture 6 of Tieleman and Hinton, 2012: w ← w - η g / (√v + ε)."""
    g = g + h["weight_decay"] * w
    return w - h["lr"] * g / (average(state, "v", g**2, h["alpha"]).sqrt() + h["eps"])


def radam(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 2 of Liu et al., 2020; rectified from ρ > 5 (the authors' code; the paper has 4), ε beside the root."""
    beta1, beta2 = h["betas"]
    g = g + h["weight_decay"] * w
    m = average(state, "m", g, beta1) / (1 - beta1**t)
    v = average(state, "v", g**2, beta2)
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * t * beta2**t / (1 - beta2**t)
    if rho <= 5:
        return w - h["lr"] * m
    r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
    return w - h["lr"] * r * m * math.sqrt(1 - beta2**t) / (v.sqrt() + h["eps"])


def nadam(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 2 of Dozat, 2016, with its momentum schedule μ_t = β₁ (1 - ½ 0.96^(t ψ))."""
    beta1, beta2 = h["betas"]
    g = g + h["weight_decay"] * w

    def mu(step: int) -> float:
        return float(beta1 * (1 - 0.5 * 0.96 ** (step * h["momentum_decay"])))

    state["mu"] = state.get("mu", 1.0) * mu(t)
    m = average(state, "m", g, beta1)
    v = average(state, "v", g**2, beta2) / (1 - beta2**t)
    look_ahead = mu(t + 1) * m / (1 - state["mu"] * mu(t + 1)) + (1 - mu(t)) * g / (1 - state["mu"])
    return w - h["lr"] * look_ahead / (v.sqrt() + h["eps"])


def lamb(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 2 of You et al., 2020, φ(z) = z; the step is counted by group, and undecayed weights are Adam's."""
    r = adam_direction(g, state, h, h["calls"]) + h["weight_decay"] * w
    trust = float(w.norm() / r.norm()) if h["weight_decay"] and w.norm() > 0 and r.norm() > 0 else 1.0
    return w - h["lr"] * trust * r


def lion(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Program 1 of Chen et al., 2023."""
    beta1, beta2 = h["betas"]
    m = state.get("m", torch.zeros_like(g))
    direction = torch.sign(beta1 * m + (1 - beta1) * g)
    average(state, "m", g, beta2)
    return w - h["lr"] * (direction + h["weight_decay"] * w)


def adafactor(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithms 4 and 5 of Shazeer and Stern, 2018, without ε₁ in the squares; two dimensions are factored."""
    rho = min(h["lr"], 1 / math.sqrt(t))
    alpha = max(h["eps"][1], float(w.square().mean().sqrt())) * rho
    beta2 = 1 - t ** h["beta2_decay"]
    if g.ndim > 1:
        rows = average(state, "rows", g.square().mean(-1, keepdim=True), beta2)
        columns = average(state, "columns", g.square().mean(-2, keepdim=True), beta2)
        v = rows * columns / rows.mean(-2, keepdim=True)
    else:
        v = average(state, "v", g.square(), beta2)
    u = g / v.sqrt()
    w = w * (1 - h["lr"] * h["weight_decay"])
    return w - alpha * u / max(1.0, float(u.square().mean().sqrt()) / h["d"])


QUINTIC = [
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
]


def orthogonal(matrix: Tensor) -> Tensor:
    """Five quintic Newton-Schulz steps from M/‖M‖, here in float64."""
    x = matrix / matrix.norm().clamp(min=1e-7)
    for a, b, c in QUINTIC:
        xx = x @ x.mT
        x = a * x + (b * xx + c * xx @ xx) @ x
    return x


def muon(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Jordan et al., 2024, the update's size as Liu et al., 2025; a vector gets a step of NAdam without schedule."""
    if w.ndim < 2:
        beta1, beta2 = h["betas"]
        m = average(state, "m", g, beta1)
        v = average(state, "v", g**2, beta2) / (1 - beta2**t)
        look_ahead = (beta1 * m + (1 - beta1) * g) / (1 - beta1**t)
        return w * (1 - h["lr"] * h["weight_decay"]) - h["lr"] * look_ahead / (v.sqrt() + h["eps"])
    mu = h["momentum"]
    m = average(state, "m", g, mu)
    matrix = (mu * m + (1 - mu) * g).flatten(1)
    size = 0.2 * math.sqrt(max(matrix.shape))
    return w * (1 - h["lr"] * h["weight_decay"]) - h["lr"] * size * orthogonal(matrix).reshape(w.shape)


def schedule_free_adamw(w: Tensor, g: Tensor, state: State, h: dict[str, Any], t: int) -> Tensor:
    """Algorithm 1 of Defazio et al., 2024, without a warm-up; w is y, steps are counted by group."""
    beta1, beta2 = h["betas"]
    z = state.setdefault("z", w.clone())
    x = state.setdefault("x", w.clone())
    v = average(state, "v", g**2, beta2) / (1 - beta2 ** h["calls"])
    state["z"] = z - h["lr"] * (g / (v.sqrt() + h["eps"]) + h["weight_decay"] * w)
    c = 1 / h["calls"]  # γ² / Σ γ² at a constant rate
    state["x"] = (1 - c) * x + c * state["z"]
    return (1 - beta1) * state["z"] + beta1 * state["x"]
