"""Elements that the prediction page and the evaluation page share: galleries of thumbnails, numbers, corrupt files."""

import base64
import html
import io
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from datamodules.folder.decoding import read_upright
from foundation.html import details, section
from foundation.html.document import Section
from foundation.processes import say

THUMBNAIL_SIDE = 128
"""Longest side of a thumbnail in pixels."""
MAX_FAILURES = 200
"""How many corrupt files a page lists."""


@dataclass(frozen=True)
class Thumbnail:
    """An image in a gallery.

    Args:
        load: Returns the image, upright, mode RGB or L; called only if the image is shown.
        alt: Alternative text.
        lines: Plain text below the image; the first line is bold.
        path: The image's file; the page shows the last two parts of it, linked if the file exists. Empty: none.
        group: Name of the group to which the image belongs, for a filter and for links from elsewhere on the page.
    """

    load: Callable[[], Image.Image]
    alt: str
    lines: tuple[str, ...]
    path: str = ""
    group: str = ""


def load_image(path: str) -> Image.Image:
    """Load an image file, upright and at least as large as a thumbnail."""
    return read_upright(path, "RGB", 2 * THUMBNAIL_SIDE)


@dataclass
class Budget:
    """The size of all images together, in bytes of base64 text, that a page may still use."""

    left: int = 3_500_000
    lacks_images: bool = False

    def note_unreadable(self, image: str) -> None:
        """Say that the page cannot show an image; of several on a page the first is named."""
        if not self.lacks_images:
            say(f"the page cannot show every image, and says so there: {image}")
        self.lacks_images = True


def gallery(thumbnails: Iterable[Thumbnail], budget: Budget) -> tuple[str, int]:
    """Make a list of images with their captions, until the budget is used up.

    Returns:
        The HTML, and how many images are in it.
    """
    items: list[str] = []
    groups: set[str] = set()
    for thumbnail in thumbnails:
        source, reason = _source(thumbnail)
        if reason:
            budget.note_unreadable(f"{thumbnail.path or thumbnail.alt}: {reason}")
        if len(source) > budget.left:
            break
        budget.left -= len(source)
        first, *others = (html.escape(line) for line in thumbnail.lines)
        caption = f"<strong>{first}</strong>" + "".join(f"<br>{line}" for line in others)
        if thumbnail.path:
            caption += f'<div class="file">{linked(thumbnail.path)}</div>'
        group = f' data-group="{html.escape(thumbnail.group)}"' if thumbnail.group else ""
        if thumbnail.group and thumbnail.group not in groups:
            groups.add(thumbnail.group)
            group += f' id="group-{html.escape(thumbnail.group)}"'
        element = f'<img src="{source}" alt="{html.escape(thumbnail.alt)}" loading="lazy">'
        items.append(f"<li{group}>{html.escape(f'not shown: {reason}') if reason else element}{caption}</li>")
    return f'<ul class="gallery">{"".join(items)}</ul>', len(items)


def _source(thumbnail: Thumbnail) -> tuple[str, str]:
    """Return a thumbnail's data, or an empty string and why the image cannot be shown."""
    try:
        return _data_uri(thumbnail.load()), ""
    except Exception as error:  # the file is gone since it was decoded; decoders raise exceptions of many types
        return "", " ".join(str(error).split()) or type(error).__name__


def linked(path: str) -> str:
    """Return the last two parts of a path, as a link to the file where there is one."""
    text, file = html.escape("/".join(path.split("/")[-2:])), Path(path)
    if not file.is_file():
        return text
    return f'<a href="{html.escape(file.resolve().as_uri())}" title="{html.escape(path)}">{text}</a>'


def shown_image(image: Image.Image, budget: Budget, alt: str, form: str = "JPEG") -> str:
    """Return the HTML of an image in its full size; an empty string if the page's budget does not allow it.

    Args:
        image: Mode RGB or L.
        budget: What the page may still use.
        alt: Alternative text.
        form: ``JPEG``, or ``PNG`` for what has few colours.
    """
    source = _encoded(image, form)
    if len(source) > budget.left:
        return ""
    budget.left -= len(source)
    return f'<img src="{source}" alt="{html.escape(alt)}" loading="lazy">'


def _data_uri(image: Image.Image) -> str:
    """Return a thumbnail as a JPEG within the page; of a very long image it is one pixel high or wide."""
    if (longest := max(image.size)) > THUMBNAIL_SIDE:
        width, height = (max(1, round(side * THUMBNAIL_SIDE / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return _encoded(image, "JPEG")


def _encoded(image: Image.Image, form: str) -> str:
    target = io.BytesIO()
    image.save(target, form, quality=80, optimize=True)
    return f"data:image/{form.lower()};base64,{base64.b64encode(target.getvalue()).decode()}"


def percent(share: float) -> str:
    """Format a share as a percentage; NaN, which stands for undefined, is a dash."""
    return "–" if math.isnan(share) else f"{share:.1%}"


def probability_text(probability: float) -> str:
    """Format a probability as a percentage that never reads 100 %: no prediction is certain."""
    return percent(probability) if probability < 0.9995 else "> 99.9%"


def small_percent(share: float) -> str:
    """Format a share above 0 as a percentage that never reads 0 %.

    Example:
        >>> small_percent(0.25), small_percent(0.0004)
        ('25.0%', '< 0.1%')
    """
    return percent(share) if share >= 0.0005 else "< 0.1%"


def corrupt_files(failures: dict[str, str]) -> list[Section]:
    """Make the section that lists the files that could not be decoded, given as reasons by path, if there are any."""
    if not failures:
        return []
    lines = [f"{path}: {reason}" for path, reason in failures.items()]
    if len(lines) > MAX_FAILURES:
        lines[MAX_FAILURES:] = [f"… and {len(failures) - MAX_FAILURES:,} more"]
    count = "1 file" if len(failures) == 1 else f"{len(failures):,} files"
    return [section("corrupt", "Corrupt files", details(count, "\n".join(lines)))]
