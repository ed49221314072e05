"""How far each loss is from its reference: value and gradient, over random, extreme and degenerate inputs."""

from typing import NamedTuple

import torch

from tests.lightning_modules.losses.cases import CASES, build, inputs
from tests.lightning_modules.losses.reference import value_and_gradient


class Deviation(NamedTuple):
    """Of the value, relative where it is above 1; of the gradient, relative to its largest entry or 1 / size."""

    value: float
    gradient: float


def deviation(name: str) -> Deviation:
    """The largest deviations of a case in float32."""
    case, loss = CASES[name], build(name)
    worst = Deviation(0.0, 0.0)
    for output, target in inputs(case).values():
        expected, slope = value_and_gradient(case.reference, output, target)
        prediction = output.clone().requires_grad_()
        value = loss(prediction, target)
        (gradient,) = torch.autograd.grad(value, prediction)
        scale = max(slope.abs().max().item(), 1 / output.numel())
        worst = Deviation(
            _max(worst.value, abs(value.item() - expected) / max(1.0, abs(expected))),
            _max(worst.gradient, (gradient.double() - slope).abs().max().item() / scale),
        )
    return worst


def _max(left: float, right: float) -> float:
    return right if right > left or right != right else left  # NaN wins


if __name__ == "__main__":
    for name in CASES:
        value, gradient = deviation(name)
        print(f"{name:60} {value:8.1e} {gradient:8.1e}")
