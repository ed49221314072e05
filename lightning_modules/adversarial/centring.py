"""Convert images that a data module has normalised to the range [−1, 1], which a generator draws in."""

from typing import Any

import torch
from torch import Tensor

from foundation.hardware import on_device


class Centring:
    """Undo a normalisation by mean and standard deviation, and scale to [−1, 1]; constants stay on the device.

    Example:
        >>> from types import SimpleNamespace
        >>> Centring()(torch.tensor([[[[-1.0, 2.0]]]]), SimpleNamespace(mean=(0.25,), std=(0.25,)))
        tensor([[[[-1.0000,  0.5000]]]])
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, torch.device] | None = None
        self._constants: tuple[Tensor, Tensor] | None = None

    def __call__(self, images: Tensor, statistics: Any) -> Tensor:
        """Return images `(B, C, H, W)` in [−1, 1].

        Args:
            images: Normalised images.
            statistics: Has `mean` and `std`, one number per channel; `None` if they are in [−1, 1] already.
        """
        if statistics is None or {*statistics.mean, *statistics.std} == {0.5}:
            return images
        if self._constants is None or self._made_for != (statistics, images.device):
            values = (torch.tensor(value).view(-1, 1, 1) for value in (statistics.mean, statistics.std))
            mean, std = (on_device(value, images.device) for value in values)
            self._made_for, self._constants = (statistics, images.device), (2 * std, 2 * mean - 1)
        scale, offset = self._constants
        return images * scale + offset
