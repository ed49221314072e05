"""Speed of loading images, against torchvision and other ways on the same machine at the same time.

    python -m benchmarks.data [--rounds 9] [--out benchmarks/results] [--folder IMAGES]

Three questions; for each one the contestants run in turns, and a ratio is the median over the rounds with its
quartiles.

1. Pad, crop, flip and normalise 32 × 32 images, from uint8 in memory to float32 batches of 500: one process, one
   thread, CPU time (so other programs may run).
2. Decode a folder of JPEG files once: the cache of the image folder on all cores against a loop of Pillow calls in one
   process; wall time. The cache also writes its file and flushes it to the disk.
3. Open that cache again, and compare all images with it, which runs in the background when training starts; wall time.

The images are random; those of 2 and 3 are written to a temporary folder, unless IMAGES/train with class folders is
given.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import median_ratio
from benchmarks.data.loaders import SIZE, gather, ours, pillow, random_images, shift_by_shift
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.listing.layout import class_folders
from datamodules.folder.split_cache import FolderCache
from foundation.figure_style import panels

FORM = ImageFormat(SIZE, SIZE, "RGB", "crop")


class Row(NamedTuple):
    """Speed of a contestant, and its time as a multiple of this project's."""

    question: str
    who: str
    per_second: float
    ratio: float
    low: float
    high: float


def augmentation(rounds: int) -> Iterator[Row]:
    """Answer the first question; the slow loader gets fewer images."""
    many, few = random_images(10_000), random_images(1_000)
    epochs = {
        "ours": ours(many),
        "torchvision, Pillow": pillow(few),
        "batched gather, float32": gather(many),
        "shift by shift, float32": shift_by_shift(many),
    }
    times: dict[str, list[float]] = {who: [] for who in epochs}
    for number in range(rounds + 1):
        for who, epoch in epochs.items():
            start = time.process_time()
            count = epoch(number)
            if number:  # the first round warms up
                times[who].append((time.process_time() - start) / count)
    yield from rows("augment, one thread", times, "ours")


def plain_loop(files: list[Path]) -> None:
    """Decode files with Pillow and numpy in one process."""
    pixels = np.empty((len(files), *FORM.shape), dtype=np.uint8)
    for i, file in enumerate(files):
        pixels[i] = np.asarray(Image.open(file).convert("RGB"))


def cache(root: Path, rounds: int) -> Iterator[Row]:
    """Answer the second and the third question."""
    names = class_folders(root, "train")
    files = sorted((root / "train").glob("*/*.jpg"))
    times: dict[str, list[float]] = {"ours": [], "plain loop": []}
    opened: dict[str, list[float]] = {"open": [], "compare all images": []}
    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds):
            folder = Path(place) / str(number)
            start = time.perf_counter()
            FolderCache(root, "train", FORM, names, folder).images()
            middle = time.perf_counter()
            plain_loop(files)
            times["ours"].append((middle - start) / len(files))
            times["plain loop"].append((time.perf_counter() - middle) / len(files))
            again = FolderCache(root, "train", FORM, names, folder)
            start = time.perf_counter()
            again.images()
            opened["open"].append(time.perf_counter() - start)
            if again.has_changed():
                raise RuntimeError(f"the images in {root} have changed during the measurement")
            opened["compare all images"].append(time.perf_counter() - start)
    yield from rows(f"decode {len(files):,} files", times, "ours")
    yield from rows(f"open {len(files):,} files", opened, "open")


def rows(question: str, times: dict[str, list[float]], reference: str) -> Iterator[Row]:
    """Compute the median speed of each contestant, and its time as a multiple of the reference's."""
    for who, values in times.items():
        yield Row(question, who, 1 / statistics.median(values), *median_ratio(values, times[reference]))


def save_images(root: Path, count: int) -> None:
    """Write `count` JPEG files of 32 × 32 pixels in ten classes."""
    generator = np.random.default_rng(0)
    for i in range(count):
        file = root / "train" / f"class {i % 10}" / f"{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(file, quality=90)


def plot(results: list[Row], file: Path) -> None:
    """Draw one bar per other contestant: its time as a multiple of ours."""
    others = [row for row in results if row.ratio != 1]
    figure, (axes,) = panels(size=(8, 0.5 * len(others) + 1.2))
    spread = [[row.ratio - row.low for row in others], [row.high - row.ratio for row in others]]
    names, ratios = [f"{row.question}: {row.who}" for row in others], [row.ratio for row in others]
    axes.barh(names, [ratio - 1 for ratio in ratios], left=1, xerr=spread, color="#56B4E9", height=0.6)
    for place, row in enumerate(others):
        axes.annotate(
            f"{row.ratio:.1f} ×", (max(row.high, 1.0), place), (6, 0), textcoords="offset points", va="center"
        )
    axes.axvline(1, color="black")
    ticks = [1, 2, 5, 10, 20, 50]
    axes.set(
        xscale="log", xlabel="time as a multiple of this project's (log axis; median and quartiles)", xlim=(0.95, 60)
    )
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.invert_yaxis()
    figure.savefig(file, dpi=120)


def main() -> None:
    """Answer the questions; print, write and draw the results."""
    options = parser(__doc__, rounds=9, out=RESULTS)
    options.add_argument("--images", type=int, default=20_000, help="number of random files to decode")
    options.add_argument("--folder", type=Path, help="decode FOLDER/train/<class>/*.jpg instead")
    arguments = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = list(augmentation(arguments.rounds))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.folder is None:
            save_images(Path(folder), arguments.images)
        results += cache(arguments.folder or Path(folder), max(2, arguments.rounds // 3))
    print(f"\n{machine_line()}, {arguments.rounds} rounds")
    for row in results:
        each = f"{row.per_second:10,.0f} / s" if row.per_second > 1000 else f"{1000 / row.per_second:9.1f} ms"
        print(f"{row.question:24} {row.who:26} {each}  × {row.ratio:6.2f} ({row.low:.2f} to {row.high:.2f})")
    write_csv(results, arguments.out / "data.csv")
    plot(results, arguments.out / "data.png")


if __name__ == "__main__":
    main()
