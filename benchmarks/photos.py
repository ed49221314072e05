"""Speed of augmentations for photographs, against torchvision's v2 transforms on single images.

    python -m benchmarks.photos [--rounds 5] [--count 128] [--out FILE]

Images of 256 × 256 pixels become images of 224 × 224: a random resized crop with flip; that and a colour jitter; that
and TrivialAugment. Ours works on a batch of bytes in channels_last memory; torchvision's transforms get one image of
bytes at a time, as in the workers of a DataLoader. A ratio is the median over the rounds, with its range. Both use one
thread, and the time is CPU time, so that other programs may run: two workers of a DataLoader use two cores, and at best
twice the images a second; so do two threads.
"""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import v2

from benchmarks.common.command_line import write_csv
from datamodules import Augmentation, Chain, ColorJitter, RandomResizedCrop, TrivialAugment


class Row(NamedTuple):
    """Images a second of CPU time."""

    augmentation: str
    ours: float
    torchvision: float
    ratio: float
    low: float
    high: float


def crop() -> Augmentation:
    """Return our crop."""
    return RandomResizedCrop(size=(224, 224))


def contestants() -> dict[str, tuple[Augmentation, Callable[[Tensor], Tensor]]]:
    """Return ours and torchvision's by name."""
    theirs = [v2.RandomResizedCrop(224, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip()]
    jitter = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)
    return {
        "crop and flip": (crop(), v2.Compose(theirs)),
        "crop, flip, colour jitter": (Chain([crop(), ColorJitter(0.4, 0.4, 0.4, 0.1)]), v2.Compose([*theirs, jitter])),
        "crop, flip, TrivialAugment": (
            Chain([crop(), TrivialAugment()]),
            v2.Compose([*theirs, v2.TrivialAugmentWide()]),
        ),
    }


def measured(rounds: int, count: int) -> list[Row]:
    """Run the contestants in turns."""
    pixels = torch.randint(0, 256, (count, 256, 256, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    singles = [image.contiguous() for image in pixels]
    numbers, rows = torch.arange(count), []
    for name, (ours, theirs) in contestants().items():
        times: list[tuple[float, float]] = []
        for number in range(rounds + 1):
            start = time.process_time()
            ours(pixels, numbers, seed=0, epoch=number)
            middle = time.process_time()
            torch.stack([theirs(image) for image in singles])
            times.append((middle - start, time.process_time() - middle))
        times = times[1:]  # the first round warms up
        ratios = sorted(other / own for own, other in times)
        own, other = (sorted(each)[len(times) // 2] for each in zip(*times, strict=True))
        rows.append(Row(name, count / own, count / other, ratios[len(ratios) // 2], ratios[0], ratios[-1]))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", type=int, default=128)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measured(options.rounds, options.count)
    if options.out:
        write_csv(found, options.out)
