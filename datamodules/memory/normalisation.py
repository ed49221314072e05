"""Normalisation of uint8 batches to float32 with mean 0 and standard deviation 1 in each channel."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from foundation.errors import UserError
from foundation.hardware import on_device


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel, of pixel values scaled to [0, 1].

    Args:
        mean: One per channel, in [0, 1].
        std: One per channel, > 0, in the same unit.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]


def checked(statistics: Statistics) -> Statistics:
    """Return the statistics.

    Raises:
        ValueError: If a standard deviation is not positive, or the lengths differ.
    """
    mean, std = statistics
    if len(mean) != len(std) or not all(value > 0 for value in std):
        raise ValueError(f"mean and std must have one value per channel and std be > 0, got {mean} and {std}.")
    return statistics


def given_statistics(mean: list[float] | None, std: list[float] | None) -> Statistics | None:
    """Return the statistics that a data module was given, if any.

    Raises:
        ValueError: If one is given without the other, a standard deviation is not positive, or the lengths differ.
    """
    if (mean is None) != (std is None):
        raise ValueError(f"mean and std must be given together, got {mean} and {std}.")
    return checked(Statistics(tuple(mean), tuple(std))) if mean and std else None


def check_channels(given: Statistics | None, channels: int) -> None:
    """Raise UserError if the given statistics are not those of so many channels."""
    if given is not None and len(given.mean) != channels:
        values = "1 value" if len(given.mean) == 1 else f"{len(given.mean)} values"
        raise UserError(f"mean and std have {values}, the images {channels} channels.")


def pixel_statistics(pixels: Tensor, chunk: int = 1 << 24) -> Statistics:
    r"""Compute mean and standard deviation of every channel from exact integer sums.

    .. math:: mean = \frac{S_1}{255 n} \qquad std = \frac{\sqrt{n S_2 - S_1^2}}{255 n}, \quad S_k = \sum x^k

    A constant channel gets a standard deviation of 1/255, one step of the scale, so that normalising it stays finite.

    Args:
        pixels: uint8 images, at least one.
        chunk: Values that are summed at a time, which limits the memory for their squares.

    Shape:
        pixels ``(N, H, W, C)``.

    Example:
        >>> pixel_statistics(torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 2, 1))
        Statistics(mean=(0.5,), std=(0.5,))
    """
    channels = pixels.shape[-1]
    step = max(1, chunk // max(1, pixels[0].numel()))
    sums = torch.zeros(2, channels, dtype=torch.int64)
    for images in pixels.split(step):
        values = images.reshape(-1, channels).to(torch.int32)
        sums += torch.stack([values.sum(0), (values * values).sum(0)])
    return statistics_of_sums(sums[0].tolist(), sums[1].tolist(), pixels.numel() // channels)


def statistics_of_sums(sums: list[int], squares: list[int], count: int) -> Statistics:
    """Compute mean and standard deviation from the sums of each channel, see :func:`pixel_statistics`.

    Args:
        sums: Sum of the values of each channel.
        squares: Sum of their squares.
        count: Pixels in each channel, ≥ 1.

    Example:
        >>> statistics_of_sums([255], [255 * 255], count=2)
        Statistics(mean=(0.5,), std=(0.5,))
    """
    spread = [max(math.sqrt(count * s2 - s1 * s1) / count, 1.0) for s1, s2 in zip(sums, squares, strict=True)]
    return Statistics(tuple(s1 / count / 255 for s1 in sums), tuple(std / 255 for std in spread))


class Normaliser:
    r"""Compute ``(x / 255 − mean) / std`` of uint8 batches; the constants stay on every device that was used.

    Args:
        statistics: Mean and standard deviation of each channel.
        channels_last: Memory format of the result, in which convolutions are fast; the values are the same.

    Shape:
        ``(B, C, H, W)`` uint8 → ``(B, C, H, W)`` float32.

    Raises:
        ValueError: If a standard deviation is not positive, or the lengths differ.

    Example:
        >>> Normaliser(Statistics((0.5,), (0.5,)))(torch.tensor([[[[0, 255]]]], dtype=torch.uint8)).flatten()
        tensor([-1.,  1.])
    """

    def __init__(self, statistics: Statistics, channels_last: bool = True) -> None:
        self.statistics = checked(statistics)
        self.channels_last = channels_last
        self._constants: dict[tuple[torch.device, int], tuple[Tensor, Tensor]] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise one batch."""
        batch, channels, height, width = images.shape
        if not self.channels_last:
            offset, scale = self._offset_and_scale(images.device, 1)
            planes = images.to(torch.float32, memory_format=torch.contiguous_format)
            return planes.sub_(offset.view(-1, 1, 1)).mul_(scale.view(-1, 1, 1))
        # along whole rows of pixels: three channels at a time would use an eighth of a vector register
        offset, scale = self._offset_and_scale(images.device, width)
        rows = images.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
        normal = rows.to(torch.float32).sub_(offset).mul_(scale)
        return normal.view(batch, height, width, channels).permute(0, 3, 1, 2)

    def _offset_and_scale(self, device: torch.device, pixels: int) -> tuple[Tensor, Tensor]:
        """Return what to subtract and what to multiply by, repeated for that many adjacent pixels."""
        if (device, pixels) not in self._constants:
            mean, std = (torch.tensor(values, dtype=torch.float64).repeat(pixels) for values in self.statistics)
            offset, scale = (255 * mean).float(), (1 / (255 * std)).float()
            self._constants[device, pixels] = on_device(offset, device), on_device(scale, device)
        return self._constants[device, pixels]


class Standardiser:
    """Subtract the mean of each column of a table and divide by its standard deviation, on the device.

    Args:
        statistics: Of each column.

    Shape:
        ``(B, F)`` float32 → ``(B, F)`` float32.

    Example:
        >>> Standardiser(Statistics((1.0,), (2.0,)))(torch.tensor([[5.0]]))
        tensor([[2.]])
    """

    def __init__(self, statistics: Statistics) -> None:
        self.statistics = statistics
        self._constants: dict[torch.device, tuple[Tensor, Tensor]] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """Standardise one batch."""
        if rows.device not in self._constants:
            mean, std = (on_device(torch.tensor(values), rows.device) for values in self.statistics)
            self._constants[rows.device] = mean, std
        mean, std = self._constants[rows.device]
        return (rows - mean) / std
