"""Growth of a step's time and memory with batch size, width and weights, and of an epoch's with the number of images.

    python -m benchmarks.growth [--out FOLDER]

Each size is measured in a process of its own, with one thread: bf16 convolutions (ResNet8), float32 linear layers with
AdamW, images of 32 × 32. The limits in the figure are measured on the same machine: for convolutions the rate of a bf16
matrix product and of a bf16 convolution alone; otherwise the rate of a copy in memory.
The slope is that of log(time) against log(size) over the upper half of the sizes: 1 means linear growth.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.processes import run_python
from foundation.figure_style import panels

# Memory traffic per weight of a step with AdamW, 4 bytes each: forward and backward read the weight; its gradient is
# written, zeroed by a new allocation and read; the optimizer reads and writes the weight and its two moments.
BYTES_PER_WEIGHT = 4 * 10
BYTES_PER_IMAGE = 32 * 32 * 3 * (1 + 1 + 1 + 4)  # uint8 read, gathered and cropped; float32 written
SWEEPS: dict[str, tuple[tuple[str, ...], str, tuple[int, ...]]] = {
    "batch": (("convolutions", "{}", "64"), "batch size (ResNet8)", (8, 16, 32, 64, 128, 256, 512, 1024)),
    "width": (("convolutions", "128", "{}"), "width of the first stage (ResNet8, batch 128)", (8, 16, 32, 64, 128)),
    "weights": (("linear", "{}"), "weights (MLP, batch 16)", (128, 256, 512, 1024, 2048, 4096)),
    "images": (("images", "{}"), "images in the cache (an epoch)", (1_000, 3_000, 10_000, 30_000, 100_000)),
}


class Point(NamedTuple):
    """Measurement of one size.

    `seconds` is the time of a step (of an epoch, for images), `limit_seconds` the least that the machine allows, and
    `rate_seconds` what convolutions alone would take for as many operations (for the others, the limit again).
    """

    sweep: str
    size: float
    seconds: float
    limit_seconds: float
    rate_seconds: float
    memory_bytes: float


def process(*words: str) -> dict[str, float]:
    """Measure one size in a process of its own."""
    found: dict[str, float] = json.loads(run_python(["-m", "benchmarks.growth.point", *words]))
    return found


def limits(sweep: str, size: int, found: dict[str, float], peaks: dict[str, float]) -> tuple[float, float]:
    """Compute the least seconds, at the peak rate of arithmetic or memory, and the seconds at a convolution's rate."""
    if sweep in ("batch", "width"):
        return found["flops"] / peaks["matrix product"], found["flops"] / peaks["convolution"]
    moved = size * BYTES_PER_IMAGE if sweep == "images" else found["weights"] * BYTES_PER_WEIGHT
    return moved / peaks["bandwidth"], moved / peaks["bandwidth"]


def measure() -> list[Point]:
    """Measure every size."""
    peaks, points = process("peaks"), []
    giga = {name: f"{value / 1e9:,.1f}" for name, value in peaks.items()}
    print(
        "bf16 matrix product {matrix product}, convolution {convolution} GFLOP/s; copy {bandwidth} GB/s".format(**giga)
    )
    for sweep, (words, _, sizes) in SWEEPS.items():
        for size in sizes:
            found = process(*(word.format(size) for word in words))
            shown = found["weights"] if sweep == "weights" else size
            points.append(Point(sweep, shown, found["seconds"], *limits(sweep, size, found, peaks), found["memory"]))
            print(
                f"{sweep:9}{shown:12,.0f}{1e3 * found['seconds']:12.3f} ms{found['memory'] / 2**20:10,.0f} MB",
                flush=True,
            )
    return points


def slope(points: list[Point], of: str) -> float:
    """Fit log(`of`) against log(size) over the upper half of the sizes, and return the slope."""
    upper = points[len(points) // 2 - (len(points) < 6) :]
    values = [max(getattr(point, of), 1e-9) for point in upper]
    return float(np.polyfit(np.log([point.size for point in upper]), np.log(values), 1)[0])


def plot(points: list[Point], file: Path) -> None:
    """Draw time and memory of each sweep on logarithmic axes."""
    figure, drawn = panels(2, len(SWEEPS), size=(15, 6.4))
    rows = [drawn[: len(SWEEPS)], drawn[len(SWEEPS) :]]
    for (sweep, (_, label, _)), times, memory in zip(SWEEPS.items(), *rows, strict=True):
        own = [point for point in points if point.sweep == sweep]
        sizes = [point.size for point in own]
        lines = {"measured": ("o-", "seconds"), "at the rate of a matrix product, or a copy": ("k--", "limit_seconds")}
        if sweep in ("batch", "width"):
            lines["at the rate of a convolution"] = ("k:", "rate_seconds")
        for name, (style, field) in lines.items():
            times.loglog(sizes, [1e3 * getattr(point, field) for point in own], style, label=name)
        memory.loglog(sizes, [max(point.memory_bytes, 1) / 2**20 for point in own], "o-", color="#D55E00")
        times.set_title(f"{sweep}: time ∝ size^{slope(own, 'seconds'):.2f}")
        memory.set_title(f"memory ∝ size^{slope(own, 'memory_bytes'):.2f}")
        memory.set_xlabel(label)
    rows[0][0].set_ylabel("ms per step")
    rows[0][-1].set_ylabel("ms per epoch")
    rows[1][0].set_ylabel("MB above the start")
    figure.legend(*rows[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(file, dpi=100)


def main() -> None:
    """Measure, print, write."""
    arguments = parser(__doc__, out=RESULTS / "growth").parse_args()
    print(machine_line())
    points = measure()
    for sweep in SWEEPS:
        own = [point for point in points if point.sweep == sweep]
        share = own[-1].rate_seconds / own[-1].seconds
        print(
            f"{sweep}: time ∝ size^{slope(own, 'seconds'):.2f}, memory ∝ size^{slope(own, 'memory_bytes'):.2f}, "
            f"{share:.0%} of {'a convolution' if sweep in ('batch', 'width') else 'a copy'}'s rate at the largest size"
        )
    write_csv(points, arguments.out / "growth.csv")
    plot(points, arguments.out / "growth.png")


if __name__ == "__main__":
    main()
