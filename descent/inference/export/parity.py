"""Does an exported file answer as the checkpoint does?"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.folder.decoding import ImageFormat
from descent.inference.answers import Classifier
from descent.inference.scoring import Scorer
from foundation.errors import UserError

TOLERANCE = 1e-4
"""Of a probability."""
BATCHES = (1, 2, 29)

Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Parity(NamedTuple):
    """How far a file is from its checkpoint.

    Args:
        images: How many were tried.
        deviation: The largest of a probability.
        other: How many got another class.
    """

    images: int
    deviation: float
    other: int


def compare(run: Runner, scorer: Scorer, module: Classifier, batches: Iterable[Tensor]) -> Parity:
    """Give images to both.

    Args:
        run: Images → probabilities, by the file.
        scorer: The checkpoint, in float32 as validation does it.
        module: The scorer's.
        batches: Pixels `(B, H, W, C)` uint8.

    Raises:
        UserError: They differ by more than `TOLERANCE`, or in a class that is no tie.
    """
    found = Parity(0, 0.0, 0)
    for pixels in batches:
        ours = module.probabilities(scorer.images(pixels)).cpu()
        theirs = torch.from_numpy(run(pixels.contiguous().numpy()))
        if theirs.shape != ours.shape:
            raise UserError(
                f"the exported file gives {tuple(theirs.shape)} for {len(pixels)} images, the checkpoint "
                f"{tuple(ours.shape)}; nothing is written."
            )
        deviation = float((theirs.double() - ours.double()).abs().nan_to_num(torch.inf).max())
        other = int((theirs.argmax(1) != ours.argmax(1)).sum())
        found = Parity(found.images + len(pixels), max(found.deviation, deviation), found.other + other)
    if found.deviation > TOLERANCE:  # two that agree to that choose another class only where two classes tie
        raise UserError(
            f"the exported file differs from the checkpoint by {found.deviation:.3g} in a probability (at most "
            f"{TOLERANCE:g} is accepted), and answers {found.other} of {found.images} images otherwise; nothing is "
            "written."
        )
    return found


def made_up_images(form: ImageFormat, seed: int = 0) -> Iterator[Tensor]:
    """Batches of several sizes: black, white, noise, and soft blobs of every size between, which look like images."""
    height, width, channels = form.shape
    g = torch.Generator().manual_seed(seed)
    for count in BATCHES:
        images = []
        for number in range(count):
            cells = 1 + number % max(2, min(height, width, 16))
            coarse = torch.rand(1, channels, cells, cells, generator=g)
            soft = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0]
            noise = torch.randn(channels, height, width, generator=g)
            images.append((255 * (soft + 0.1 * (number % 3) * noise)).clamp(0, 255).to(torch.uint8))
        pixels = torch.stack(images).permute(0, 2, 3, 1).contiguous()
        if count > 2:
            pixels[0], pixels[1] = 0, 255
        yield pixels
