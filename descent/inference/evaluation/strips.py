"""Strips of images that lie side by side on the evaluation pages."""

from collections.abc import Sequence

from PIL import Image

SIDE = 160
"""Longest side of each image of a strip in pixels."""
GAP = 4
"""Pixels between two images."""


def beside(images: Sequence[Image.Image]) -> Image.Image:
    """Join images of one size from left to right, with white gaps."""
    width, height = images[0].size
    joined = Image.new("RGB", ((width + GAP) * len(images) - GAP, height), "white")
    for place, image in enumerate(images):
        joined.paste(image, (place * (width + GAP), 0))
    return joined
