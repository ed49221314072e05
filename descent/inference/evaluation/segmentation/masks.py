"""Masks as images: one colour for each class, beside the image, the truth and the wrong pixels."""

import colorsys

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from descent.inference.evaluation.strips import SIDE, beside

Pixels = NDArray[np.uint8]

UNLABELLED = (255, 255, 255)
BACKGROUND = (200, 204, 209)
WRONG = (213, 94, 0)
# Okabe and Ito's, without the orange-red that marks wrong pixels
CLASS_COLORS = [(0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233), (240, 228, 66), (0, 0, 0)]


def palette(classes: int) -> list[tuple[int, int, int]]:
    """Return a colour for each class: class 0 grey, then Okabe and Ito's, then hues that are spread evenly.

    Example:
        >>> palette(3)
        [(200, 204, 209), (0, 114, 178), (230, 159, 0)]
    """
    found = [BACKGROUND, *CLASS_COLORS][:classes]
    for number in range(classes - len(found)):
        hue, light = (0.618 * number) % 1, (0.35, 0.55, 0.75)[number % 3]
        red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, light, 0.65))
        found.append((red, green, blue))
    return found


def strip(image: Image.Image | None, target: Tensor, predicted: Tensor, classes: int, ignored: int) -> Image.Image:
    """Return image, truth, answer, and the wrong pixels in orange, side by side.

    Args:
        image: The image; without one the strip has three parts.
        target: True mask `(H, W)`.
        predicted: Predicted mask `(H, W)`.
        classes: K.
        ignored: Class number of unlabelled pixels, which are white.
    """
    labelled = (target != ignored).numpy()
    colors = np.array([*palette(classes), UNLABELLED], dtype=np.uint8)
    truth = colors[torch.where(target == ignored, classes, target.long()).numpy()]
    answer = colors[predicted.long().numpy()]
    wrong = labelled & (target.long() != predicted.long()).numpy()
    grey = np.full(truth.shape, 235, dtype=np.uint8) if image is None else _grey(image, truth.shape)
    parts = [truth, answer, np.where(wrong[..., None], np.array(WRONG, np.uint8), grey)]
    if image is not None:
        parts.insert(0, _fitted(image, truth.shape))
    return beside([_scaled(part) for part in parts])


def _fitted(image: Image.Image, shape: tuple[int, ...]) -> Pixels:
    size = shape[1], shape[0]
    resized = image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(resized.convert("RGB"))


def _grey(image: Image.Image, shape: tuple[int, ...]) -> Pixels:
    """Return the image in pale grey, on which the wrong pixels stand out."""
    grey = _fitted(image.convert("L"), shape).astype(np.float32)
    return (140 + 0.45 * grey).clip(0, 255).astype(np.uint8)


def _scaled(pixels: Pixels) -> Image.Image:
    """Scale to `SIDE`; small masks keep their pixels."""
    image = Image.fromarray(pixels)
    scale = SIDE / max(image.size)
    size = [max(1, round(scale * side)) for side in image.size]
    return image.resize((size[0], size[1]), Image.Resampling.NEAREST)
