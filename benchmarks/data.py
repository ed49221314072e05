"""How fast images arrive, against torchvision's and other ways on the same machine in the same minutes.

    python -m benchmarks.data [--rounds 9] [--out benchmarks/results] [--folder IMAGES]

Three questions, each answered in rounds in which the contestants take turns; a ratio is the median over the rounds,
with its quartiles.

1. Pad, crop, flip and normalise 32 × 32 images, from uint8 in memory to float32 batches of 500: one process, one
   thread, in CPU time (others may be at work on the machine).
2. Decode a folder of JPEG files once, in wall time, on all cores: the image folder's cache against a plain loop of
   Pillow calls in one process. The cache also writes its file and flushes it to the disk.
3. Open that cache again, in wall time, and the comparison of all images that then runs beside the training's start.

The images are made up, for 2 and 3 in a temporary folder; or IMAGES/train is used, which must have class folders.
"""

import argparse
import csv
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from datamodules.augmentations.crop_flip import CropFlip
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.split_cache import FolderCache
from datamodules.folder.tree import class_folders
from datamodules.memory.images import ImageDataset, Images
from datamodules.memory.loading import image_loader
from datamodules.memory.normalisation import Normaliser, Statistics
from datamodules.memory.order import EpochOrder

BATCH, PADDING, SIZE = 500, 2, 32
STATISTICS = Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
FORM = ImageFormat(SIZE, SIZE, "RGB", "crop")
Epoch = Callable[[int], int]  # runs an epoch, gives the number of images


class Row(NamedTuple):
    """What a contestant did, and how much longer it took than the cache or the loader of this project."""

    question: str
    who: str
    per_second: float
    ratio: float
    low: float
    high: float


def made_up(count: int) -> Images:
    """Random pixels, ten classes."""
    pixels = torch.randint(
        0, 256, (count, SIZE, SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Images(pixels, torch.arange(count) % 10)


def ours(images: Images) -> Epoch:
    """The whole way of a training batch."""
    dataset = ImageDataset(images)
    order = EpochOrder(dataset, seed=0)
    loader, crop, normalise = image_loader(dataset, order, BATCH), CropFlip(PADDING), Normaliser(STATISTICS)

    def epoch(number: int) -> int:
        order.set_epoch(number)
        return sum(len(normalise(crop(images, rows, 0, number))) for images, _, rows in loader)

    return epoch


class PillowDataset(Dataset[tuple[Tensor, int]]):
    """As torchvision's CIFAR10: an array of images, each turned into a Pillow image."""

    def __init__(self, images: Images) -> None:
        self.data, self.targets = images.pixels.numpy(), images.targets.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(SIZE, PADDING, padding_mode="reflect"),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*STATISTICS),
            ]
        )

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.data[row])), self.targets[row]


def pillow(images: Images) -> Epoch:
    """Torchvision's usual pipeline, a DataLoader without workers."""
    loader = DataLoader(PillowDataset(images), BATCH, shuffle=True)
    return lambda _: sum(len(images) for images, _ in loader)


def gather(images: Images) -> Epoch:
    """A batch at a time in float32, each pixel by advanced indexing: what one writes first."""
    normal = Normaliser(STATISTICS, channels_last=False)(images.pixels.permute(0, 3, 1, 2))
    steps = torch.arange(SIZE)

    def epoch(_: int) -> int:
        done = 0
        for rows in torch.split(torch.randperm(len(normal)), BATCH):
            padded = torch.nn.functional.pad(normal[rows], [PADDING] * 4, mode="reflect")
            shifts = torch.randint(0, 2 * PADDING + 1, (2, len(rows), 1))
            ys, xs = shifts[0] + steps, shifts[1] + steps
            xs = torch.where(torch.rand(len(rows), 1) < 0.5, xs, xs.flip(1))
            batch = padded[torch.arange(len(rows)).view(-1, 1, 1), :, ys.unsqueeze(2), xs.unsqueeze(1)]
            done += len(batch)
        return done

    return epoch


def shift_by_shift(images: Images) -> Epoch:
    """The way of airbench's loader, written anew: a whole epoch at once, one masked copy for each shift."""
    normal = Normaliser(STATISTICS, channels_last=False)(images.pixels.permute(0, 3, 1, 2))
    padded = torch.nn.functional.pad(normal, [PADDING] * 4, mode="reflect")
    flips = torch.rand(len(normal)) < 0.5
    places = range(2 * PADDING + 1)

    def epoch(number: int) -> int:
        y, x = torch.randint(0, len(places), (2, len(normal)))
        tall = padded.new_empty(len(normal), 3, SIZE, padded.shape[3])
        for place in places:
            tall[y == place] = padded[y == place, :, place : place + SIZE]
        cropped = torch.empty_like(normal)
        for place in places:
            cropped[x == place] = tall[x == place, :, :, place : place + SIZE]
        now = (flips ^ bool(number % 2)).view(-1, 1, 1, 1)
        epoch_of_images = torch.where(now, cropped.flip(3), cropped)
        return sum(len(epoch_of_images[rows]) for rows in torch.split(torch.randperm(len(normal)), BATCH))

    return epoch


def augmentation(rounds: int) -> Iterator[Row]:
    """The first question; the slow ones get fewer images."""
    many, few = made_up(10_000), made_up(1_000)
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
            if number:  # the first is for warming up
                times[who].append((time.process_time() - start) / count)
    yield from rows("augment, one thread", times, "ours")


def plain_loop(files: list[Path]) -> None:
    """What one writes first: one process, Pillow, numpy."""
    pixels = np.empty((len(files), *FORM.shape), dtype=np.uint8)
    for i, file in enumerate(files):
        pixels[i] = np.asarray(Image.open(file).convert("RGB"))


def cache(root: Path, rounds: int) -> Iterator[Row]:
    """The second and the third question."""
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
                raise RuntimeError(f"the images in {root} have changed meanwhile")
            opened["compare all images"].append(time.perf_counter() - start)
    yield from rows(f"decode {len(files):,} files", times, "ours")
    yield from rows(f"open {len(files):,} files", opened, "open")


def rows(question: str, times: dict[str, list[float]], reference: str) -> Iterator[Row]:
    """Medians, and ratios by round: how many times as long as the reference."""
    for who, values in times.items():
        ratios = [value / ours for value, ours in zip(values, times[reference], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        yield Row(question, who, 1 / statistics.median(values), middle, low, high)


def save_images(root: Path, count: int) -> None:
    """``count`` JPEG files of 32 × 32 pixels, in ten classes."""
    generator = np.random.default_rng(0)
    for i in range(count):
        file = root / "train" / f"class {i % 10}" / f"{i:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(file, quality=90)


def plot(results: list[Row], file: Path) -> None:
    """A bar for each contestant but ours: how many times as long it takes."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    others = [row for row in results if row.ratio != 1]
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(others) + 1.2), layout="constrained")
    spread = [[row.ratio - row.low for row in others], [row.high - row.ratio for row in others]]
    names, ratios = [f"{row.question}: {row.who}" for row in others], [row.ratio for row in others]
    axes.barh(names, [ratio - 1 for ratio in ratios], left=1, xerr=spread, color="#56B4E9", height=0.6)
    for place, row in enumerate(others):
        axes.annotate(
            f"{row.ratio:.1f} ×", (max(row.high, 1.0), place), (6, 0), textcoords="offset points", va="center"
        )
    axes.axvline(1, color="black")
    ticks = [1, 2, 5, 10, 20, 50]
    axes.set(xscale="log", xlabel="times as long as this project (log axis; median and quartiles)", xlim=(0.95, 60))
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.invert_yaxis()
    figure.savefig(file, dpi=120)
    plt.close(figure)


def main() -> None:
    """Answer the questions, print a table, keep it and an image of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=20_000, help="files that are made up for decoding")
    parser.add_argument("--folder", type=Path, help="decode FOLDER/train/<class>/*.jpg instead")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    results = list(augmentation(arguments.rounds))
    with tempfile.TemporaryDirectory() as folder:
        if arguments.folder is None:
            save_images(Path(folder), arguments.images)
        results += cache(arguments.folder or Path(folder), max(2, arguments.rounds // 3))
    versions = f"{platform.machine()}, Python {platform.python_version()}"
    for package in ("torch", "torchvision", "pillow", "numpy"):
        versions += f", {package} {version(package)}"
    print(f"\n{versions}, {arguments.rounds} rounds")
    for row in results:
        each = f"{row.per_second:10,.0f} / s" if row.per_second > 1000 else f"{1000 / row.per_second:9.1f} ms"
        print(f"{row.question:24} {row.who:26} {each}  × {row.ratio:6.2f} ({row.low:.2f} to {row.high:.2f})")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "data.csv").open("w", newline="") as file:
        csv.writer(file).writerows([[*Row._fields, "versions"], *([*row, versions] for row in results)])
    plot(results, arguments.out / "data.png")


if __name__ == "__main__":
    main()
