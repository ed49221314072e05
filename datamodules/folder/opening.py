"""Open an image file of any format, with the reason in words where that is impossible."""

import threading
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

MOST_PIXELS = 178_956_970
"""Pillow's own limit: beyond it a small file may fill the memory."""

_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")  # brands of ISO/IEC 23008-12
_lock = threading.Lock()


def open_image(source: str | Path | IO[bytes]) -> Image.Image:
    """Open an image without reading its pixels, however many it has.

    Args:
        source: File, or its content.

    Raises:
        OSError: If it is no image of a known format; the message says what it seems to be.
    """
    try:
        return _opened(source)
    except UnidentifiedImageError as error:
        start = _start(source)
        if start[4:8] == b"ftyp" and start[8:12] in _HEIF:
            if find_spec("pillow_heif") is None:
                raise OSError("cannot identify HEIC images without a decoder: pip install pillow-heif") from error
            import pillow_heif  # type: ignore[import-not-found]

            pillow_heif.register_heif_opener()
            return _opened(source)
        raise OSError(f"cannot identify an image: {_seems(start)}") from error


def check_pixels(image: Image.Image, most: int) -> None:
    """Raise OSError if decoding would give more than ``most`` pixels."""
    if image.width * image.height > most:
        raise OSError(f"{image.width:,} × {image.height:,} pixels are more than data.max_pixels, {most:,}")


def _opened(source: str | Path | IO[bytes]) -> Image.Image:
    with _lock:  # Pillow's limit is global, and would be checked before a JPEG can be opened at a smaller size
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _start(source: str | Path | IO[bytes]) -> bytes:
    if isinstance(source, str | Path):
        with Path(source).open("rb") as file:
            return file.read(512)
    source.seek(0)
    start = source.read(512)
    source.seek(0)
    return start


def _seems(start: bytes) -> str:
    if not start:
        return "the file is empty"
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "the file is a web page"
    if text.startswith(b"version https://git-lfs"):
        return "the file is a pointer of Git LFS; git lfs pull fetches the image"
    return "the format is unknown, or the file is damaged"
