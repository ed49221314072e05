"""Small images inside a page, as many as fit into its size."""

import base64
import html
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from PIL import Image, ImageOps

from datamodules.folder.decoding import read_upright

SIDE = 128
"""Longest side of a thumbnail, in pixels."""


@dataclass(frozen=True)
class Thumbnail:
    """An image in a gallery.

    Args:
        load: Gives it, upright and in mode RGB or L; called only if it is shown.
        alt: What it is, for those who do not see it.
        lines: What stands below it, plain text; the first is the most important.
        file: Its path, or nothing.
    """

    load: Callable[[], Image.Image]
    alt: str
    lines: tuple[str, ...]
    file: str = ""


def from_file(path: str) -> Image.Image:
    """An image file as the eye would see it, at least as large as a thumbnail."""
    return read_upright(path, "RGB", 2 * SIDE)


class Budget:
    """How many bytes of images a page may still hold.

    Args:
        left: Bytes as they stand in the page, ≥ 0.
    """

    def __init__(self, left: int = 3_500_000) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        """Whether there is room for so many bytes; then it is used up."""
        if count > self.left:
            return False
        self.left -= count
        return True


def gallery(thumbnails: Iterable[Thumbnail], budget: Budget) -> tuple[str, int]:
    """A list of images with their lines, until the budget is used up.

    Returns:
        HTML, and how many are in it.
    """
    items = []
    for thumbnail in thumbnails:
        source = _data_uri(thumbnail.load())
        if not budget.take(len(source)):
            break
        first, *others = (html.escape(line) for line in thumbnail.lines)
        below = f"<strong>{first}</strong>" + "".join(f"<br>{line}" for line in others)
        file = f'<div class="file">{html.escape(thumbnail.file)}</div>' if thumbnail.file else ""
        image = f'<img src="{source}" alt="{html.escape(thumbnail.alt)}" loading="lazy">'
        items.append(f"<li>{image}{below}{file}</li>")
    return f'<ul class="gallery">{"".join(items)}</ul>', len(items)


def _data_uri(image: Image.Image) -> str:
    small = image if max(image.size) <= SIDE else ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.BILINEAR)
    target = io.BytesIO()
    small.save(target, "JPEG", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(target.getvalue()).decode()}"
