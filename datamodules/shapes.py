"""Pictures of shapes drawn from a seed: what is where is known exactly, and the classes are as rare as one likes."""

from typing import NamedTuple

import torch
from torch import Tensor

SHAPES = ["disc", "square", "triangle"]


class Drawing(NamedTuple):
    """Drawn pictures.

    Args:
        pixels: uint8 ``(N, S, S, 3)``.
        masks: uint8 ``(N, S, S)``: 0 background, 1 disc, 2 square, 3 triangle.
        present: int64 ``(N, 3)``: 1 where a picture shows that shape.
    """

    pixels: Tensor
    masks: Tensor
    present: Tensor


def draw_shapes(count: int, size: int, seed: int, rarity: float = 1.0, noise: float = 20.0) -> Drawing:
    """Draw pictures with up to three shapes of any colour on a noisy background; later shapes lie on top.

    Args:
        count: Number of pictures, ≥ 0.
        size: Height and width in pixels, ≥ 8.
        seed: ≥ 0; the same seed gives the same pictures.
        rarity: ≥ 1: a square is shown this many times less often than a disc, a triangle as many times less again.
        noise: Standard deviation of the pixels' noise, ≥ 0, of 255.

    Example:
        >>> drawing = draw_shapes(4, 32, seed=0)
        >>> drawing.pixels.shape, drawing.masks.shape, drawing.present.shape
        (torch.Size([4, 32, 32, 3]), torch.Size([4, 32, 32]), torch.Size([4, 3]))
    """
    g = torch.Generator().manual_seed(seed)
    shown = torch.rand(count, 3, generator=g) < 0.6 / rarity ** torch.arange(3)
    background = 60 + 60 * torch.rand(count, 1, 1, 3, generator=g)
    pixels = background.expand(count, size, size, 3).clone()
    masks = torch.zeros(count, size, size, dtype=torch.uint8)
    for shape in range(3):
        inside = _inside(shape, count, size, g) & shown[:, shape, None, None]
        color = 130 + 125 * torch.rand(count, 1, 1, 3, generator=g)
        pixels = torch.where(inside[..., None], color, pixels)
        masks[inside] = shape + 1
    pixels += noise * torch.randn(pixels.shape, generator=g)
    present = torch.stack([(masks == shape + 1).flatten(1).any(1) for shape in range(3)], dim=1)
    return Drawing(pixels.round().clamp(0, 255).to(torch.uint8), masks, present.long())


def _inside(shape: int, count: int, size: int, g: torch.Generator) -> Tensor:
    """Which pixels one shape covers in each picture ``(N, S, S)``: its radius is 0.12 to 0.25 of the size."""
    radius = size * (0.12 + 0.13 * torch.rand(count, 1, 1, generator=g))
    center = radius + (size - 2 * radius) * torch.rand(2, count, 1, 1, generator=g)
    pixel = torch.arange(size) + 0.5
    y, x = (pixel[:, None] - center[0]) / radius, (pixel - center[1]) / radius
    if shape == 0:
        return y**2 + x**2 < 1
    if shape == 1:
        return (y.abs() < 0.85) & (x.abs() < 0.85)
    return (y < 0.8) & (y > 2 * x.abs() - 1)  # a triangle with its tip up
