"""Data modules of drawn shapes: which pixel is what, and which shapes are there."""

from abc import abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from datamodules.in_memory import ImageDataModule
from datamodules.masks import MaskDataModule
from datamodules.pictures import Pictures
from datamodules.shapes import SHAPES, Drawing, draw_shapes

_TRAIN, _VAL, _TEST = 0, 1, 2


class _DrawnDataModule(ImageDataModule):
    """Training, validation and test pictures are drawn from seeds of their own, so none is in two sets."""

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
        """The training pictures (0), or a quarter as many for validation (1) or test (2)."""
        count = self.count if part == _TRAIN else self.count // 4
        return draw_shapes(count, self.size, 3 * self.data_seed + part, self.rarity)

    @abstractmethod
    def targets(self, drawing: Drawing) -> Tensor:
        """What is to be predicted, one entry a picture."""

    def _pictures(self, part: int) -> Pictures:
        drawing = self.draw(part)
        return Pictures(drawing.pixels, self.targets(drawing))

    def training_pictures(self) -> Pictures:
        """Draw the training pictures."""
        return self._pictures(_TRAIN)

    def validation_pictures(self) -> Pictures:
        """Draw the validation pictures."""
        return self._pictures(_VAL)

    def test_pictures(self) -> Pictures:
        """Draw the test pictures."""
        return self._pictures(_TEST)


class ShapeMasksDataModule(_DrawnDataModule, MaskDataModule):
    """Discs, squares and triangles on a noisy background; the target is the class of each pixel.

    Args:
        pictures: For training, ≥ 10; validation and test have a quarter as many each.
        size: Height and width, ≥ 8.
        rarity: ≥ 1: a square is shown this many times less often than a disc, a triangle as many times less again.
        data_seed: ≥ 0; which pictures are drawn.
        foreground: Whether to ask of each pixel only if it shows a shape: two classes instead of four.
        kwargs: See :class:`~datamodules.in_memory.ImageDataModule`; an augmentation moves the mask along.

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
        pictures: For training, ≥ 10; validation and test have a quarter as many each.
        size: Height and width, ≥ 8.
        rarity: ≥ 1: a square is shown this many times less often than a disc, a triangle as many times less again.
        data_seed: ≥ 0; which pictures are drawn.
        kwargs: See :class:`~datamodules.in_memory.ImageDataModule`.

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
