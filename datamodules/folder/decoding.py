"""Decoding of one image file to uint8 pixels of a fixed size and colour mode."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from foundation.argument_checks import require_choice
from foundation.network_input import Interpolation

Pixels = NDArray[np.uint8]
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_BACKGROUND = (255, 255, 255, 255)
_WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


@dataclass(frozen=True)
class ImageFormat:
    """Size and colour mode of decoded images.

    Args:
        height: Pixels, ≥ 1.
        width: Pixels, ≥ 1.
        mode: ``RGB`` (3 channels) or ``L`` (1, ITU-R 601 luma).
        resize: ``crop``: scale so that the image just covers the size, then cut out the middle; ``squash``: scale
            both sides to the size, which may change the aspect ratio. An image that has the size is not resized.
        interpolation: ``bilinear`` or ``bicubic``, both with antialiasing.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> ImageFormat(32, 32, "RGB", "crop").shape
        (32, 32, 3)
    """

    height: int
    width: int
    mode: Literal["RGB", "L"]
    resize: Literal["crop", "squash"]
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"image_size must be ≥ 1, got {self.height} × {self.width}.")
        require_choice("mode", self.mode, ("RGB", "L"))
        require_choice("resize", self.resize, ("crop", "squash"))
        require_choice("interpolation", self.interpolation, tuple(_FILTERS))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, 3 if self.mode == "RGB" else 1


def decode(path: str | Path | IO[bytes], form: ImageFormat) -> Pixels:
    """Read an image as a viewer shows it, in the given format.

    The EXIF orientation is applied; transparent parts become white; 16-bit grey is scaled to 8 bits (x / 257, rounded),
    not clipped; an animation gives its first frame. Resizing is bilinear with antialiasing, as in torchvision. A large
    JPEG is decoded at the smallest size that is at least twice the requested one, which is much faster.

    Args:
        path: File, or its content as a file object.
        form: Size, colour mode and resizing.

    Shape:
        → uint8 ``(H, W, C)``.

    Raises:
        OSError: If the file cannot be read, or holds no complete image; some decoders raise other exceptions.
    """
    longest = 2 * max(form.height, form.width)  # enough even if EXIF rotates the image
    return np.asarray(_resized(read_upright(path, form.mode, longest), form)).reshape(form.shape)


def read_upright(path: str | Path | IO[bytes], mode: str, longest: int) -> Image.Image:
    """Read an image as a viewer shows it, at its own size; a JPEG at the smallest size above ``longest``.

    Args:
        path: File, or its content as a file object.
        mode: ``RGB`` or ``L``.
        longest: Height and width in pixels that are sufficient.

    Raises:
        OSError: As `decode`.
    """
    with Image.open(path) as image:
        image.draft(mode, (longest, longest))
        image.load()
        upright = ImageOps.exif_transpose(image) if _may_be_rotated(image) else image
    return upright if upright.mode == mode and "transparency" not in upright.info else _converted(upright, mode)


def _may_be_rotated(image: Image.Image) -> bool:
    # asking Pillow for the orientation costs a tenth of decoding a small JPEG, and most have none
    return image.format != "JPEG" or "exif" in image.info or "xmp" in image.info


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F":
        raise OSError("the pixels are floating-point numbers of unknown range; convert the file to 8 or 16 bits")
    if image.mode in _WIDE_GREY:
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise OSError("grey values are outside 0 to 65535; convert the file to 8 or 16 bits")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, _BACKGROUND), rgba)
    return image.convert(mode)


def _resized(image: Image.Image, form: ImageFormat) -> Image.Image:
    size = form.width, form.height
    if image.size == size:
        return image
    if form.resize == "squash":
        return image.resize(size, _FILTERS[form.interpolation])
    width, height = _covering(image.size, form)
    left, top = round((width - form.width) / 2), round((height - form.height) / 2)
    box = left, top, left + form.width, top + form.height
    return image.resize((width, height), _FILTERS[form.interpolation]).crop(box)


def _covering(size: tuple[int, int], form: ImageFormat) -> tuple[int, int]:
    """Return the smallest (width, height) with the image's aspect ratio that covers the format."""
    width, height = size
    if width * form.height <= height * form.width:
        return form.width, max(form.height, int(form.width * height / width))
    return max(form.width, int(form.height * width / height)), form.height
