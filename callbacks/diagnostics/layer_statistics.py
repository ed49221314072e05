"""Statistics of one layer at one step, computed on the device."""

import torch
from torch import Tensor, nn

MAX_VALUES = 2**19  # of an output; more values cost time and hardly change the statistics
NEAR_ZERO = 0.05
SATURATED = 0.03  # distance from a bound, as a share of the range
BOUNDED: dict[type[nn.Module], tuple[float, float]] = {nn.Sigmoid: (0.0, 1.0), nn.Tanh: (-1.0, 1.0)}
RECTIFIERS = (nn.ReLU, nn.ReLU6)


def activation_statistics(layer: nn.Module, output: Tensor) -> dict[str, Tensor]:
    """Return mean, standard deviation, share near zero, and for sigmoid and tanh the share at a bound; each `()`.

    They are of the batch's first samples, up to 524,288 values: training batches are shuffled.

    Example:
        >>> found = activation_statistics(nn.Sigmoid(), torch.tensor([[0.001, 0.5, 0.999, 0.2]]))
        >>> round(float(found["saturated"]), 2), round(float(found["near_zero"]), 2)
        (0.5, 0.25)
    """
    values = output.detach()[: max(MAX_VALUES * len(output) // max(output.numel(), 1), 1)].float()
    found = {"mean": values.mean(), "std": values.std(unbiased=False)}
    found["near_zero"] = (values.abs() < NEAR_ZERO).float().mean()
    if type(layer) in BOUNDED:
        low, high = BOUNDED[type(layer)]
        edge = SATURATED * (high - low)
        found["saturated"] = ((values < low + edge) | (values > high - edge)).float().mean()
    return found


def active_units(output: Tensor, axis: int = 1) -> Tensor:
    """Return which units (entries of a dimension) are above 0 anywhere in the batch, `(B, U, …)` → `(U,)`, bool.

    Example:
        >>> active_units(torch.tensor([[0.0, 2.0], [0.0, 0.0]])).tolist()
        [False, True]
    """
    axis %= output.ndim
    return output.detach().amax(dim=[each for each in range(output.ndim) if each != axis]) != 0  # a NaN is not dead


def relative_update(before: list[Tensor], after: list[Tensor]) -> Tensor:
    r"""Return the norm of an update relative to the weights, $\lVert w' - w \rVert_2 / \lVert w \rVert_2$, `()`.

    Example:
        >>> round(float(relative_update([torch.tensor([3.0, 4.0])], [torch.tensor([3.0, 4.5])])), 3)
        0.1
    """
    change = torch.stack([(new.detach() - old).float().norm() for old, new in zip(before, after, strict=True)]).norm()
    size = torch.stack([old.float().norm() for old in before]).norm()
    return change / size.clamp_min(1e-12)
