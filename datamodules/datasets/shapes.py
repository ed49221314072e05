"""Data modules of drawn shapes: which pixel is what, and which shapes are there."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Images
from datamodules.memory.masks import MaskDataModule

SHAPES = ["disc", "square", "triangle"]


class Drawing(NamedTuple):
    """Drawn images.

    Args:
        pixels: uint8 ``(N, S, S, 3)``.
        masks: uint8 ``(N, S, S)``: 0 background, 1 disc, 2 square, 3 triangle.
        present: int64 ``(N, 3)``: 1 where an image shows that shape.
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
    """Which pixels one shape covers in each image ``(N, S, S)``: its radius is 0.12 to 0.25 of the size."""
    radius = size * (0.12 + 0.13 * torch.rand(count, 1, 1, generator=g))
    center = radius + (size - 2 * radius) * torch.rand(2, count, 1, 1, generator=g)
    pixel = torch.arange(size) + 0.5
    y, x = (pixel[:, None] - center[0]) / radius, (pixel - center[1]) / radius
    if shape == 0:
        return y**2 + x**2 < 1
    if shape == 1:
        return (y.abs() < 0.85) & (x.abs() < 0.85)
    return (y < 0.8) & (y > 2 * x.abs() - 1)  # a triangle with its tip up


_TRAIN, _VAL, _TEST = 0, 1, 2


class _DrawnDataModule(ImageDataModule):
    """Training, validation and test images are drawn from seeds of their own, so none is in two sets."""

    channels: ClassVar[int] = 3  # type: ignore[misc]

    def __init__(
        self, pictures: int = 2000, size: int = 32, rarity: float = 1.0, data_seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("pictures", pictures, 10),
            ("size", size, 8),
            ("rarity", rarity, 1),
            ("data_seed", data_seed, 0),
        ):
            if not value >= least:
                raise ValueError(f"{name} must be ≥ {least}, got {value}.")
        self.count, self.size, self.rarity, self.data_seed = pictures, size, rarity, data_seed

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width."""
        return self.size, self.size

    def draw(self, part: int) -> Drawing:
        """The training images (0), or a quarter as many for validation (1) or test (2)."""
        count = self.count if part == _TRAIN else self.count // 4
        return draw_shapes(count, self.size, 3 * self.data_seed + part, self.rarity)

    @abstractmethod
    def targets(self, drawing: Drawing) -> Tensor:
        """What is to be predicted, one entry an image."""

    def _images(self, part: int) -> Images:
        drawing = self.draw(part)
        return Images(drawing.pixels, self.targets(drawing))

    def training_images(self) -> Images:
        """Draw the training images."""
        return self._images(_TRAIN)

    def validation_images(self) -> Images:
        """Draw the validation images."""
        return self._images(_VAL)

    def test_images(self) -> Images:
        """Draw the test images."""
        return self._images(_TEST)


class ShapeMasksDataModule(_DrawnDataModule, MaskDataModule):
    """Discs, squares and triangles on a noisy background; the target is the class of each pixel.

    Args:
        images: For training, ≥ 10; validation and test have a quarter as many each.
        size: Height and width, ≥ 8.
        rarity: ≥ 1: a square is shown this many times less often than a disc, a triangle as many times less again.
        data_seed: ≥ 0; which images are drawn.
        foreground: Whether to ask of each pixel only if it shows a shape: two classes instead of four.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`; an augmentation moves the mask along.

    Raises:
        ValueError: If an argument is outside its range.

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
        """Background and shape, or each shape by itself."""
        return ["background", "shape"] if self.foreground else ["background", *SHAPES]

    def targets(self, drawing: Drawing) -> Tensor:
        """The masks."""
        return drawing.masks.clamp_max(1) if self.foreground else drawing.masks


class ShapeLabelsDataModule(_DrawnDataModule):
    """Discs, squares and triangles on a noisy background; the target says which of them are there: none, some or all.

    Args:
        images: For training, ≥ 10; validation and test have a quarter as many each.
        size: Height and width, ≥ 8.
        rarity: ≥ 1: a square is shown this many times less often than a disc, a triangle as many times less again.
        data_seed: ≥ 0; which images are drawn.
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> data = ShapeLabelsDataModule(pictures=40, batch_size=8)
        >>> data.setup("fit")
        >>> images, labels = data.prepare_batch(next(iter(data.train_dataloader())), training=True)
        >>> images.shape, labels.shape
        (torch.Size([8, 3, 32, 32]), torch.Size([8, 3]))
    """

    class_names: ClassVar[list[str]] = SHAPES  # type: ignore[misc]

    def targets(self, drawing: Drawing) -> Tensor:
        """Which shapes can be seen."""
        return drawing.present
