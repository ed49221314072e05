"""Speed of augmentations for photographs, against torchvision's v2 transforms on single images, and kornia on batches.

    pip install kornia
    python -m benchmarks.photos [--rounds 5] [--count 128] [--out FOLDER]

Images of 256 × 256 pixels, stored as bytes, become images of 224 × 224: a random resized crop with flip; that and a
colour jitter; that and TrivialAugment. Ours works on a batch of bytes in channels_last memory; torchvision's transforms
get one image of bytes at a time, as in the workers of a DataLoader; kornia gets the batch, which it needs as floats.
Without kornia its rows are left out. A ratio is our images a second over theirs: the median over the rounds, with its
range. All use one thread and the allocator of a fit, and the time is CPU time, so that other programs may run: two
workers of a DataLoader use two cores, and at best twice the images a second; so do two threads.
"""

import sys
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import v2

from benchmarks.common.command_line import RESULTS, parser, write_csv
from datamodules import Augmentation, Chain, ColorJitter, RandomResizedCrop, TrivialAugment
from descent import tune_allocator

STRENGTHS = (0.4, 0.4, 0.4, 0.1)
AREA = (0.35, 1.0)
Transform = Callable[[Tensor], Tensor]


class Row(NamedTuple):
    """Images a second of CPU time, and how many times theirs ours are."""

    augmentation: str
    library: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float


def ours() -> dict[str, Augmentation]:
    """Return our augmentations by name."""
    crop = RandomResizedCrop(size=(224, 224))
    return {
        "crop and flip": crop,
        "crop, flip, colour jitter": Chain([crop, ColorJitter(*STRENGTHS)]),
        "crop, flip, TrivialAugment": Chain([crop, TrivialAugment()]),
    }


def of_torchvision() -> list[Transform]:
    """Return torchvision's, in the same order, as functions of a batch that go through its images."""
    crop = [v2.RandomResizedCrop(224, scale=AREA, antialias=True), v2.RandomHorizontalFlip()]
    chains = [v2.Compose([*crop, *more]) for more in ([], [v2.ColorJitter(*STRENGTHS)], [v2.TrivialAugmentWide()])]
    return [lambda batch, chain=chain: torch.stack([chain(image) for image in batch]) for chain in chains]  # type: ignore[misc]


def of_kornia() -> list[Transform]:
    """Return kornia's, in the same order; empty if it is not installed."""
    if find_spec("kornia") is None:
        return []
    library: Any = import_module("kornia.augmentation")
    crop = [library.RandomResizedCrop((224, 224), scale=AREA), library.RandomHorizontalFlip()]
    chains = [
        torch.nn.Sequential(*crop, *more)
        for more in ([], [library.ColorJitter(*STRENGTHS)], [library.auto.TrivialAugment()])
    ]
    return [lambda batch, chain=chain: chain(batch.float() / 255) for chain in chains]  # type: ignore[misc]


def compared(name: str, library: str, own: Augmentation, other: Transform, pixels: Tensor, rounds: int) -> Row:
    """Run two in turns."""
    numbers, times = torch.arange(len(pixels)), []
    for number in range(rounds + 1):
        start = time.process_time()
        own(pixels, numbers, seed=0, epoch=number)
        middle = time.process_time()
        other(pixels)
        times.append((middle - start, time.process_time() - middle))
    times = times[1:]  # the first round warms up
    ratios = sorted(theirs / mine for mine, theirs in times)
    mine, theirs = (len(pixels) / sorted(each)[len(times) // 2] for each in zip(*times, strict=True))
    return Row(name, library, mine, theirs, ratios[len(ratios) // 2], ratios[0], ratios[-1])


def measured(rounds: int, count: int) -> list[Row]:
    """Compare all augmentations with those of each library."""
    pixels, rows = torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8).permute(0, 3, 1, 2), []
    for library, others in (("torchvision", of_torchvision()), ("kornia", of_kornia())):
        for (name, own), other in zip(ours().items(), others, strict=False):
            rows.append(compared(name, library, own, other, pixels, rounds))
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main(args: Sequence[str] | None = None) -> None:
    """Measure and write."""
    options = parser(__doc__, rounds=5, out=RESULTS / "photos")
    options.add_argument("--count", type=int, default=128, help="images in a batch")
    given = options.parse_args(args)
    torch.set_num_threads(1)
    tune_allocator()
    write_csv(measured(given.rounds, given.count), given.out / "photos.csv")


if __name__ == "__main__":
    main()
