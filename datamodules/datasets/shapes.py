"""Generated images of discs, squares and triangles, for segmentation (masks) or multi-label classification."""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Images
from datamodules.memory.masks import MaskDataModule
from foundation.argument_checks import require_between

SHAPES = ["disc", "square", "triangle"]


class Drawing(NamedTuple):
    """Generated images and their targets.

    Args:
        pixels: uint8 ``(N, S, S, 3)``.
        masks: uint8 ``(N, S, S)``: 0 background, 1 disc, 2 square, 3 triangle.
        present: int64 ``(N, 3)``: 1 for each shape that can be seen in the image.
    """

    pixels: Tensor
    masks: Tensor
    present: Tensor


def draw_shapes(count: int, size: int, seed: int, rarity: float = 1.0, noise: float = 20.0) -> Drawing:
    """Draw images with up to three shapes of any colour on a noisy background; later shapes lie on top.

    Args:
        count: Number of images, ≥ 0.
        size: Height and width in pixels, ≥ 8.
        seed: ≥ 0; the same seed gives the same images.
        rarity: ≥ 1: squares are shown this many times less often than discs, triangles as many times less again.
        noise: Standard deviation of the pixel noise, ≥ 0, where white is 255.

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
    """Mark the pixels ``(N, S, S)`` that one shape covers in each image; its radius is 0.12 to 0.25 of the size."""
    radius = size * (0.12 + 0.13 * torch.rand(count, 1, 1, generator=g))
    center = radius + (size - 2 * radius) * torch.rand(2, count, 1, 1, generator=g)
    pixel = torch.arange(size) + 0.5
    y, x = (pixel[:, None] - center[0]) / radius, (pixel - center[1]) / radius
    if shape == 0:
        return y**2 + x**2 < 1
    if shape == 1:
        return (y.abs() < 0.85) & (x.abs() < 0.85)
    return (y < 0.8) & (y > 2 * x.abs() - 1)  # a triangle with its tip up


class ShapesDataModule(ImageDataModule):
    """Base class of the generated shapes; training, validation and test images are drawn with different seeds.

    Args:
        pictures: Number of training images, ≥ 10; validation and test have a quarter as many each.
        size: Height and width, ≥ 8.
        rarity: ≥ 1: squares are shown this many times less often than discs, triangles as many times less again.
        data_seed: Seed of the images, ≥ 0.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.
    """

    channels = 3
    image_size = (32, 32)

    def __init__(
        self, pictures: int = 2000, size: int = 32, rarity: float = 1.0, data_seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        require_between("pictures", pictures, 10)
        require_between("size", size, 8)
        require_between("rarity", rarity, 1)
        require_between("data_seed", data_seed, 0)
        self.count, self.rarity, self.data_seed = pictures, rarity, data_seed
        self.image_size = (size, size)

    @abstractmethod
    def targets(self, drawing: Drawing) -> Tensor:
        """Return the targets, one entry per image."""

    def _draw(self, count: int, part: int) -> Images:
        drawing = draw_shapes(count, self.image_size[0], 3 * self.data_seed + part, self.rarity)
        return Images(drawing.pixels, self.targets(drawing))

    def training_images(self) -> Images:
        """Draw the training images."""
        return self._draw(self.count, part=0)

    def validation_images(self) -> Images:
        """Draw a quarter as many for validation."""
        return self._draw(self.count // 4, part=1)

    def test_images(self) -> Images:
        """Draw a quarter as many for the test."""
        return self._draw(self.count // 4, part=2)


class ShapeMasksDataModule(ShapesDataModule, MaskDataModule):
    """Discs, squares and triangles on a noisy background; the target is the class of each pixel.

    Args:
        foreground: Distinguish only shape and background: two classes instead of four.
        kwargs: See :class:`ShapesDataModule`; the augmentation moves the mask too.

    Example:
        >>> data = ShapeMasksDataModule(pictures=40, batch_size=8)
        >>> data.setup("fit")
        >>> images, masks = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> images.shape, masks.shape, masks.dtype
        (torch.Size([8, 3, 32, 32]), torch.Size([8, 32, 32]), torch.int64)
    """

    def __init__(self, foreground: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.foreground = foreground

    @property
    def class_names(self) -> list[str]:
        """Background, and one shape or each of them."""
        return ["background", "shape"] if self.foreground else ["background", *SHAPES]

    def targets(self, drawing: Drawing) -> Tensor:
        """Return the masks."""
        return drawing.masks.clamp_max(1) if self.foreground else drawing.masks


class ShapeLabelsDataModule(ShapesDataModule):
    """Discs, squares and triangles on a noisy background; the target says which of them are there: none, some or all.

    Its arguments are those of :class:`ShapesDataModule`.

    Example:
        >>> data = ShapeLabelsDataModule(pictures=40, batch_size=8)
        >>> data.setup("fit")
        >>> images, labels = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> images.shape, labels.shape
        (torch.Size([8, 3, 32, 32]), torch.Size([8, 3]))
    """

    class_names = SHAPES

    def targets(self, drawing: Drawing) -> Tensor:
        """Return which shapes can be seen."""
        return drawing.present
