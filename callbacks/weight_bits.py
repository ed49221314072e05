"""Numbers that change with any bit of weights and rates, made on the device without asking the host."""

import torch
from torch import Tensor, nn

OF_SIZE = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def bits_of_weights(module: nn.Module) -> Tensor:
    """Sum of the bits of each parameter taken as integers, int64 `(P,)`; any single change of a weight changes it.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> before = bits_of_weights(layer)
        >>> layer.weight.data[0, 1] *= 1 + 2**-23
        >>> (bits_of_weights(layer) != before).tolist()
        [True, False]
    """
    sums = [_integers(parameter.detach()).sum(dtype=torch.int64) for parameter in module.parameters()]
    return torch.stack(sums) if sums else torch.zeros(0, dtype=torch.int64)


def _integers(tensor: Tensor) -> Tensor:
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return tensor.view(OF_SIZE[tensor.element_size()])


def bits_of_rate(rates: list[float]) -> Tensor:
    """Bits of numbers, int64 `(N,)`.

    Example:
        >>> bits_of_rate([0.1]).view(torch.float64).item()
        0.1
    """
    return torch.tensor(rates, dtype=torch.float64).view(torch.int64)
