"""Images that a small network learns in seconds, with some mistakes."""

from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {"blue": (90, 90, 150), "green": (90, 150, 90), "red": (150, 90, 90)}


def image(path: Path, number: int, seed: int) -> Path:
    """Save an image of 20 × 24 pixels in a noisy colour; some are nearly grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    g = np.random.default_rng([number, seed])
    strength = g.uniform(-0.2, 1.0)
    mean = 110 + strength * (np.array(list(COLOURS.values())[number]) - 110)
    pixels = (mean + g.normal(0, 30, (24, 20, 3))).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path
