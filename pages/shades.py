"""Backgrounds that stand for a share, with text that can be read on each of them."""

from pages.parts import Cell

FULL = (0, 90, 156)


def shaded(text: str, share: float, title: str) -> Cell:
    """A table cell, the bluer the larger the share.

    Args:
        text: Plain text without markup.
        share: In [0, 1]: 0 is white, 1 full blue.
        title: Said of the cell, plain text, escaped already.
    """
    background = shade(share)
    color = max(((0, 0, 0), (255, 255, 255)), key=lambda ink: contrast(ink, background))
    style = f"background:rgb{background};color:rgb{color}".replace(" ", "")
    return Cell(f'<td style="{style}" title="{title}">{text}</td>')


def shade(share: float) -> tuple[int, int, int]:
    """The background of a share.

    Example:
        >>> shade(0.0), shade(1.0)
        ((255, 255, 255), (0, 90, 156))
    """
    red, green, blue = (round(255 + share * (full - 255)) for full in FULL)
    return red, green, blue


def contrast(first: tuple[int, int, int], second: tuple[int, int, int]) -> float:
    """Contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it.

    Example:
        >>> contrast((0, 0, 0), (255, 255, 255))
        21.0
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: tuple[int, int, int]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
