"""The size of images in the cache and of what the network gets, as configured or as a pretrained network wants."""

from dataclasses import dataclass
from typing import Literal

from datamodules.folder.decoding import ImageFormat, Resize
from datamodules.folder.opening import MOST_PIXELS
from foundation.network_input import Interpolation, NetworkInput

Size = int | tuple[int, int]
UNKNOWN = 224
"""Side of images until the network that says it is known."""


@dataclass(frozen=True)
class Sizing:
    """What a config says about the size of images.

    Args:
        image_size: Height and width of what the network gets, or ``network``.
        stored_size: Height and width in the cache; None for the network's crop share, else the same.
        interpolation: None for the network's, else bilinear.

    Raises:
        ValueError: A size is below 1, or images are stored smaller than they are needed.

    Example:
        >>> form, size = Sizing(32, 40, None).form("RGB", "crop", None)
        >>> form.shape, size
        ((40, 40, 3), (32, 32))
    """

    image_size: Size | Literal["network"]
    stored_size: Size | None
    interpolation: Interpolation | None

    def __post_init__(self) -> None:
        if self.image_size != "network" and self.stored_size is not None:
            (height, width), (stored_height, stored_width) = pair(self.image_size), pair(self.stored_size)
            if stored_height < height or stored_width < width:
                raise ValueError(
                    f"stored_size must be at least image_size, got {stored_height} × {stored_width} for "
                    f"{height} × {width}."
                )

    def form(
        self,
        mode: Literal["RGB", "L"],
        resize: Resize,
        wanted: NetworkInput | None,
        grey_bits: int | None = None,
        max_pixels: int = MOST_PIXELS,
    ) -> tuple[ImageFormat, tuple[int, int]]:
        """Return the format of cached images, and height and width of what the network gets.

        Args:
            mode: Of the format.
            resize: Likewise.
            wanted: What the network was pretrained with, if it says so.
            grey_bits: Of the format.
            max_pixels: Likewise.
        """
        if self.image_size != "network":
            size = pair(self.image_size)
        else:
            size = (UNKNOWN, UNKNOWN) if wanted is None else (wanted.height, wanted.width)
        stored = size if wanted is None or resize == "letterbox" else wanted.stored_size(*size)
        if self.stored_size is not None:
            stored = tuple(max(both) for both in zip(pair(self.stored_size), size, strict=True))  # type: ignore[assignment]
        interpolation = self.interpolation or ("bilinear" if wanted is None else wanted.interpolation)
        return ImageFormat(*stored, mode, resize, interpolation, grey_bits, max_pixels), size


def pair(size: Size) -> tuple[int, int]:
    """Return height and width."""
    return (size, size) if isinstance(size, int) else size
