"""Decoding of one image file to uint8 pixels of a fixed size and colour mode."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from datamodules.folder.opening import MOST_PIXELS, check_pixels, open_image
from foundation.argument_checks import require_at_least_one, require_between, require_choice
from foundation.network_input import Interpolation

Pixels = NDArray[np.uint8]
Resize = Literal["crop", "squash", "letterbox"]
_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
_BACKGROUND = (255, 255, 255, 255)
_GREY = 128  # around a letterboxed image
_THIN = 64  # beyond this ratio of the sides, scaling all of an image to cut out its middle would take much memory
_WIDE_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I")


@dataclass(frozen=True)
class ImageFormat:
    """Size and colour mode of decoded images.

    Args:
        height: Pixels, ≥ 1.
        width: Pixels, ≥ 1.
        mode: ``RGB`` (3 channels) or ``L`` (1, ITU-R 601 luma).
        resize: ``crop``: scale so that the image just covers the size, then cut out the middle; ``squash``: scale
            both sides to the size, which may change the aspect ratio; ``letterbox``: scale so that the whole image fits
            in, and fill the rest with grey (128). An image that has the size is not resized.
        interpolation: ``bilinear`` or ``bicubic``, both with antialiasing.
        grey_bits: Bits of the values in 16-bit grey files, in [8, 16]. None: of each file, 12 if no value is above
            4095, else 16.
        max_pixels: Pixels that an image may have when it is decoded, ≥ 1.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> ImageFormat(32, 32, "RGB", "crop").shape
        (32, 32, 3)
    """

    height: int
    width: int
    mode: Literal["RGB", "L"]
    resize: Resize
    interpolation: Interpolation = "bilinear"
    grey_bits: int | None = None
    max_pixels: int = MOST_PIXELS

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(f"image_size must be ≥ 1, got {self.height} × {self.width}.")
        require_choice("mode", self.mode, ("RGB", "L"))
        require_choice("resize", self.resize, ("crop", "squash", "letterbox"))
        require_choice("interpolation", self.interpolation, tuple(_FILTERS))
        require_between("grey_bits", 16 if self.grey_bits is None else self.grey_bits, 8, 16)
        require_at_least_one(max_pixels=self.max_pixels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return self.height, self.width, 3 if self.mode == "RGB" else 1


def decode(path: str | Path | IO[bytes], form: ImageFormat) -> Pixels:
    """Read an image as a viewer shows it, in the given format.

    The EXIF orientation is applied; transparent parts become white; 16-bit grey is scaled to 8 bits (x / 257, or x /
    16.06 where it holds 12 bits; rounded), not clipped; an animation gives its first frame. Resizing is bilinear with
    antialiasing, as in torchvision. A large JPEG is decoded at the smallest size that is at least twice the requested
    one, which is much faster.

    Args:
        path: File, or its content as a file object.
        form: Size, colour mode and resizing.

    Shape:
        → uint8 ``(H, W, C)``.

    Raises:
        OSError: If the file cannot be read, or holds no complete image; some decoders raise other exceptions.
    """
    longest = 2 * max(form.height, form.width)  # enough even if EXIF rotates the image
    image = read_upright(path, form.mode, longest, form.grey_bits, form.max_pixels)
    return np.asarray(_resized(image, form)).reshape(form.shape)


def read_upright(
    path: str | Path | IO[bytes],
    mode: str,
    longest: int,
    grey_bits: int | None = None,
    max_pixels: int = MOST_PIXELS,
) -> Image.Image:
    """Read an image as a viewer shows it, at its own size; a JPEG at the smallest size above ``longest``.

    Args:
        path: File, or its content as a file object.
        mode: ``RGB`` or ``L``.
        longest: Height and width in pixels that are sufficient.
        grey_bits: See :class:`ImageFormat`.
        max_pixels: Likewise.

    Raises:
        OSError: As `decode`.
    """
    with open_image(path) as image:
        image.draft(mode, (longest, longest))
        check_pixels(image, max_pixels)
        image.load()
        upright = ImageOps.exif_transpose(image) if _may_be_rotated(image) else image
    if upright.mode == mode and "transparency" not in upright.info:
        return upright
    return _converted(upright, mode, grey_bits)


def _may_be_rotated(image: Image.Image) -> bool:
    # asking Pillow for the orientation costs a tenth of decoding a small JPEG, and most have none
    return image.format != "JPEG" or "exif" in image.info or "xmp" in image.info


def _converted(image: Image.Image, mode: str, grey_bits: int | None) -> Image.Image:
    if image.mode == "F":
        raise OSError("the pixels are floating-point numbers of unknown range; convert the file to 8 or 16 bits")
    if image.mode in _WIDE_GREY:
        values = np.asarray(image).astype(np.int64)
        if values.min(initial=0) < 0 or values.max(initial=0) > 65535:
            raise OSError("grey values are outside 0 to 65535; convert the file to 8 or 16 bits")
        bits = grey_bits or (16 if values.max(initial=0) > 4095 else 12)
        top = (1 << bits) - 1
        image = Image.fromarray(((values * 255 + top // 2) // top).clip(0, 255).astype(np.uint8))
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
    if form.resize == "letterbox":
        return _letterboxed(image, form)
    if max(image.size) > _THIN * min(image.size):
        return image.resize(size, _FILTERS[form.interpolation], box=_middle(image.size, form))
    width, height = _covering(image.size, form)
    left, top = round((width - form.width) / 2), round((height - form.height) / 2)
    box = left, top, left + form.width, top + form.height
    return image.resize((width, height), _FILTERS[form.interpolation]).crop(box)


def _letterboxed(image: Image.Image, form: ImageFormat) -> Image.Image:
    scale = min(form.width / image.width, form.height / image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    background = Image.new(image.mode, (form.width, form.height), (_GREY,) * len(image.getbands()))
    small = image.resize((width, height), _FILTERS[form.interpolation])
    background.paste(small, ((form.width - width) // 2, (form.height - height) // 2))
    return background


def _middle(size: tuple[int, int], form: ImageFormat) -> tuple[float, float, float, float]:
    """Return the box of the largest part in the middle of an image that has the format's aspect ratio."""
    scale = min(size[0] / form.width, size[1] / form.height)
    width, height = form.width * scale, form.height * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def _covering(size: tuple[int, int], form: ImageFormat) -> tuple[int, int]:
    """Return the smallest (width, height) with the image's aspect ratio that covers the format."""
    width, height = size
    if width * form.height <= height * form.width:
        return form.width, max(form.height, int(form.width * height / width))
    return max(form.width, int(form.height * width / height)), form.height
