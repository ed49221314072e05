"""Compare an exported file with its checkpoint on synthetic and real images."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.folder.decoding import ImageFormat
from descent.inference.classifiers import Classifier, mean_probabilities
from descent.inference.predictor import Predictor
from foundation.errors import UserError

TOLERANCE = 1e-4
"""Largest accepted difference of a probability."""
BATCH_SIZES = (1, 2, 29)

ExportedModel = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Maps pixels `(B, H, W, C)` to probabilities `(B, K)`."""


class Parity(NamedTuple):
    """How closely an exported file matches its checkpoint.

    Args:
        images: Number of images compared.
        max_difference: Largest difference of a probability.
        changed: Number of images whose most probable class differs.
    """

    images: int
    max_difference: float
    changed: int


def compare_with_checkpoint(
    exported: ExportedModel,
    predictor: Predictor,
    module: Classifier,
    batches: Iterable[Tensor],
    temperature: float = 1.0,
) -> Parity:
    """Compare the probabilities of an exported file with those of its checkpoint.

    Args:
        exported: The exported file.
        predictor: The checkpoint, in float32.
        module: The predictor's module.
        batches: Pixels `(B, H, W, C)` uint8.
        temperature: By which the logits are divided.

    Raises:
        UserError: A probability differs by more than `TOLERANCE`, or the shapes differ.
    """
    found = Parity(0, 0.0, 0)
    for pixels in batches:
        ours = mean_probabilities(module, [predictor.forward_pixels(pixels)], temperature).cpu()
        theirs = torch.from_numpy(exported(pixels.contiguous().numpy()))
        if theirs.shape != ours.shape:
            raise UserError(
                f"the exported file returns shape {tuple(theirs.shape)} for {len(pixels)} images, the checkpoint "
                f"{tuple(ours.shape)}; no file is written."
            )
        difference = float((theirs.double() - ours.double()).abs().nan_to_num(torch.inf).max())
        changed = int((theirs.argmax(1) != ours.argmax(1)).sum())
        found = Parity(found.images + len(pixels), max(found.max_difference, difference), found.changed + changed)
    if found.max_difference > TOLERANCE:  # below it, the class differs only where two classes tie
        raise UserError(
            f"the exported file differs from the checkpoint by {found.max_difference:.3g} in a probability (at most "
            f"{TOLERANCE:g} is accepted) and predicts another class for {found.changed} of {found.images} images; "
            "no file is written."
        )
    return found


def synthetic_images(form: ImageFormat, seed: int = 0) -> Iterator[Tensor]:
    """Generate batches of several sizes: black, white, and smooth random blobs with and without noise.

    Args:
        form: Size and mode.
        seed: Of the random numbers.

    Shape:
        → uint8 `(B, H, W, C)` each.
    """
    height, width, channels = form.shape
    g = torch.Generator().manual_seed(seed)
    for batch_size in BATCH_SIZES:
        images = []
        for number in range(batch_size):
            cells = 1 + number % max(2, min(height, width, 16))
            coarse = torch.rand(1, channels, cells, cells, generator=g)
            smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
            noise = torch.randn(channels, height, width, generator=g)
            images.append((255 * (smooth + 0.1 * (number % 3) * noise)).clamp(0, 255).to(torch.uint8))
        pixels = torch.stack(images).permute(0, 2, 3, 1).contiguous()
        if batch_size > 2:
            pixels[0], pixels[1] = 0, 255
        yield pixels
