"""One process of `benchmarks.growth`: measure time and memory at one size and print them as JSON."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from descent.allocator import tune_allocator

tune_allocator()

import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.common.processes import peak_bytes, reset_peak  # noqa: E402
from datamodules.augmentations.crop_flip import CropFlip  # noqa: E402
from datamodules.folder.cache_file import CacheEntry, ImageCache  # noqa: E402
from datamodules.memory.images import ImageDataset  # noqa: E402
from datamodules.memory.loading import image_loader  # noqa: E402
from datamodules.memory.normalisation import Normaliser, Statistics  # noqa: E402
from datamodules.memory.order import EpochOrder  # noqa: E402
from descent.profiling.peak import memory_bandwidth, peak_flops  # noqa: E402
from lightning_modules.networks import MLP, ResNet8  # noqa: E402

REPEATS = 3


def step_of(network: nn.Module, inputs: Tensor, autocast: bool) -> Callable[[], None]:
    """Make a function that runs one training step."""
    targets = torch.randint(0, 10, (len(inputs),))
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)

    def step() -> None:
        with torch.autocast("cpu", enabled=autocast):
            loss = cross_entropy(network(inputs), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def training(network: nn.Module, inputs: Tensor, autocast: bool) -> dict[str, float]:
    """Measure seconds, operations and additional memory of a training step."""
    before = reset_peak()
    step = step_of(network, inputs, autocast)
    step()
    with FlopCounterMode(display=False) as counter:
        step()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    weights = sum(parameter.numel() for parameter in network.parameters())
    found = {"seconds": statistics.median(times), "flops": counter.get_total_flops(), "weights": weights}
    return found | {"memory": peak_bytes() - before}


def convolutions(batch: int, width: int) -> dict[str, float]:
    """Train a ResNet8 of a width in bf16."""
    network = ResNet8(10, widths=[width, 2 * width, 4 * width]).to(memory_format=torch.channels_last)
    return training(network, torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last), True)


def linear(hidden: int) -> dict[str, float]:
    """Train two hidden layers with a small batch: the time goes into reading and writing weights."""
    return training(MLP(10, 64, [hidden, hidden]), torch.randn(16, 64), False)


def images(count: int) -> dict[str, float]:
    """Open a cache of images and run an epoch of it: order, fetch, augment, normalise."""
    with tempfile.TemporaryDirectory() as folder:
        cache = ImageCache(Path(folder), "train")
        entry = CacheEntry("random", {}, {str(number): count // 10 for number in range(10)}, (32, 32, 3), [], [], 0)
        with cache.pixel_file("random").open("wb") as file:
            for _ in range(count // 1000):
                file.write(torch.randint(0, 256, (1000 * 32 * 32 * 3,), dtype=torch.uint8).numpy().tobytes())
        before = reset_peak()
        start = time.process_time()
        dataset = ImageDataset(cache.images(entry, list(entry.counts)))
        opened = time.process_time() - start
        order = EpochOrder(dataset, seed=0)
        loader, crop = image_loader(dataset, order, 500), CropFlip(2)
        normalise = Normaliser(Statistics((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))
        for epoch in range(2):  # the first one reads the file
            order.set_epoch(epoch)
            start = time.process_time()
            for images, _, rows in loader:
                normalise(crop(images, rows, 0, epoch))
            seconds = time.process_time() - start
        return {"seconds": seconds, "opened": opened, "memory": peak_bytes() - before}


def peaks() -> dict[str, float]:
    """Measure the peak rates of the machine."""
    return peak_flops(torch.device("cpu"), "bf16") | {"bandwidth": memory_bandwidth()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kinds: dict[str, Callable[..., dict[str, float]]]
    kinds = {"convolutions": convolutions, "linear": linear, "images": images, "peaks": peaks}
    print(json.dumps(kinds[sys.argv[1]](*(int(word) for word in sys.argv[2:]))))
