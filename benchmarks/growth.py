"""How a step's time and memory grow with batch, width, weights; an epoch's with the number of images in the cache.

    python -m benchmarks.growth [--out FOLDER]

Each point is a process of its own, one thread; bf16 convolutions (ResNet8), float32 linear layers with AdamW, images
of 32 × 32. The limits drawn in are measured on the spot: for convolutions a bf16 matrix product and, nearer, a bf16
convolution alone; for the others a copy in memory.
The slope is that of the logarithms over the upper half of the sizes: 1 is linear.
"""

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.paired import keep, machine_line

# Traffic of a step with AdamW for each weight: forward and backward read it, the gradient is written, zeroed by a new
# allocation and read, the optimizer reads and writes the weight and its two moments. Four bytes each.
BYTES_A_WEIGHT = 4 * 10
BYTES_A_IMAGE = 32 * 32 * 3 * (1 + 1 + 1 + 4)  # uint8 read, gathered and cropped; float32 written
SWEEPS: dict[str, tuple[tuple[str, ...], str, tuple[int, ...]]] = {
    "batch": (("convolutions", "{}", "64"), "batch size (ResNet8)", (8, 16, 32, 64, 128, 256, 512, 1024)),
    "width": (("convolutions", "128", "{}"), "width of the first stage (ResNet8, batch 128)", (8, 16, 32, 64, 128)),
    "weights": (("linear", "{}"), "weights (MLP, batch 16)", (128, 256, 512, 1024, 2048, 4096)),
    "images": (("images", "{}"), "images in the cache (an epoch)", (1_000, 3_000, 10_000, 30_000, 100_000)),
}


class Point(NamedTuple):
    """A size: seconds of a step (of an epoch, for images), the least that the machine allows, bytes needed.

    `rate_seconds` is what a convolution alone would take for as many operations; for the others the limit once more.
    """

    sweep: str
    size: float
    seconds: float
    limit_seconds: float
    rate_seconds: float
    memory_bytes: float


def process(*words: str) -> dict[str, float]:
    """Measure a point."""
    command = [sys.executable, "-m", "benchmarks.growth_point", *words]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def limits(sweep: str, size: int, found: dict[str, float], peaks: dict[str, float]) -> tuple[float, float]:
    """The least seconds, at the peak of computing or of moving memory; and at a convolution's rate."""
    if sweep in ("batch", "width"):
        return found["flops"] / peaks["matrix product"], found["flops"] / peaks["convolution"]
    moved = size * BYTES_A_IMAGE if sweep == "images" else found["weights"] * BYTES_A_WEIGHT
    return moved / peaks["bandwidth"], moved / peaks["bandwidth"]


def measure() -> list[Point]:
    """Every point."""
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
    """How many times the logarithm grows for each of the size's, over the upper half of the sizes."""
    upper = points[len(points) // 2 - (len(points) < 6) :]
    xs = [math.log(point.size) for point in upper]
    ys = [math.log(max(getattr(point, of), 1e-9)) for point in upper]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def plot(points: list[Point], file: Path) -> None:
    """Time and memory of each sweep, on logarithmic scales."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    figure, rows = plt.subplots(2, len(SWEEPS), figsize=(15, 6.4), layout="constrained")
    for column, (sweep, (_, label, _)) in enumerate(SWEEPS.items()):
        mine: list[Any] = [point for point in points if point.sweep == sweep]
        sizes = [point.size for point in mine]
        times, memory = rows[0][column], rows[1][column]
        times.loglog(sizes, [1e3 * point.seconds for point in mine], "o-", label="measured")
        times.loglog(
            sizes,
            [1e3 * point.limit_seconds for point in mine],
            "k--",
            label="at the rate of a matrix product, or a copy",
        )
        if sweep in ("batch", "width"):
            times.loglog(
                sizes, [1e3 * point.rate_seconds for point in mine], "k:", label="at the rate of a convolution"
            )
        memory.loglog(sizes, [max(point.memory_bytes, 1) / 2**20 for point in mine], "o-", color="#D55E00")
        times.set_title(f"{sweep}: time ∝ size^{slope(mine, 'seconds'):.2f}")
        memory.set_title(f"memory ∝ size^{slope(mine, 'memory_bytes'):.2f}")
        memory.set_xlabel(label)
        times.grid(visible=True, alpha=0.3)
        memory.grid(visible=True, alpha=0.3)
    rows[0][0].set_ylabel("ms a step")
    rows[0][-1].set_ylabel("ms an epoch")
    rows[1][0].set_ylabel("MB above the start")
    figure.legend(*rows[0][0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(file, dpi=100)
    plt.close(figure)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth"))
    arguments = parser.parse_args()
    print(machine_line())
    points = measure()
    for sweep in SWEEPS:
        mine = [point for point in points if point.sweep == sweep]
        share = mine[-1].rate_seconds / mine[-1].seconds
        print(
            f"{sweep}: time ∝ size^{slope(mine, 'seconds'):.2f}, memory ∝ size^{slope(mine, 'memory_bytes'):.2f}, "
            f"{share:.0%} of {'a convolution' if sweep in ('batch', 'width') else 'a copy'}'s rate at the largest"
        )
    keep(points, arguments.out / "growth.csv")
    plot(points, arguments.out / "growth.png")


if __name__ == "__main__":
    main()
