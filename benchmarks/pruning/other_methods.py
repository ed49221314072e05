"""Selective backprop, layer freezing and stochastic depth against ordinary runs of as much work.

    python -m benchmarks.pruning.other_methods --rounds 10

A round trains, with one seed: an ordinary run; a run with each method, of as many steps; and for each an ordinary run
whose steps are fewer, so that it does as much work. Work is the multiplications that torch counts in the forward and
backward passes. It leaves out what a method needs besides, so it favours the methods. All runs use SGD with
momentum and a cosine over their own length. The network is a residual one, which stochastic depth needs. Writes a CSV
for each task, and prints the paired differences of the test accuracy with 95 % intervals. Rounds that are in the CSV
already are not repeated.
CIFAR-10 is read from a folder of images, train/<class>/… and test/<class>/…: --images FOLDER.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.common.paired import mean_difference
from benchmarks.pruning.residual import Residual
from datamodules import DigitsDataModule, ImageFolderDataModule, Images

METHODS = ("selective backprop", "layer freezing", "stochastic depth")
KEEP, DROP, BATCH, RATE = 0.5, 0.2, 64, 0.1


class Data(NamedTuple):
    """Standardised images and classes, to train on and to test on."""

    training: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]


class Row(NamedTuple):
    """A run: how it was trained, what it cost, its test accuracy. `equal_to`: the method whose work it does."""

    task: str
    method: str
    equal_to: str
    seed: int
    steps: int
    work: float
    processor_s: float
    score: float


class Work:
    """Count the multiplications of steps; each kind of step is counted once."""

    def __init__(self) -> None:
        self.total = 0
        self._known: dict[tuple[object, ...], int] = {}

    def step(self, kind: tuple[object, ...], run: Callable[[], Tensor]) -> Tensor:
        """Run a part of a step of this kind, and return its result."""
        if kind in self._known:
            result = run()
        else:
            with FlopCounterMode(display=False) as counter:
                result = run()
            self._known[kind] = counter.get_total_flops()
        self.total += self._known[kind]
        return result


def train(data: Data, network: Residual, method: str, steps: int, seed: int, work: Work) -> None:
    """Train a network for a number of steps.

    Selective backprop, as Composer implements it: between a tenth and nine tenths of the run, half of a batch is
    drawn with probabilities in proportion to the rank of the loss. Layer freezing: in the second half of the run the
    layers are frozen one after the other. Stochastic depth: a residual branch is skipped for a whole batch with a
    probability that rises with its depth up to 0.2.
    """
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(network.parameters(), RATE, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps + 1, pct_start=0.1)
    images, targets = data.training
    order = torch.empty(0, dtype=torch.int64)
    for step in range(steps):
        done = step / steps
        if len(order) < BATCH:
            order = torch.randperm(len(targets), generator=random)
        chosen, order = order[:BATCH], order[BATCH:]
        if method == "selective backprop" and 0.1 <= done < 0.9:
            chosen = selected(network, images[chosen], targets[chosen], chosen, random, work)
        frozen = int(len(network.parts) * max(0.0, 2 * done - 1)) if method == "layer freezing" else 0
        network.freeze(frozen)
        skipped = network.draw_skipped(random)
        backward(network, images[chosen], targets[chosen], skipped, work, (len(chosen), frozen, skipped))
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def backward(
    network: Residual, images: Tensor, targets: Tensor, skipped: tuple[int, ...], work: Work, kind: tuple[object, ...]
) -> None:
    """Compute the gradients of a batch."""

    def both() -> Tensor:
        loss = F.cross_entropy(network(images, skipped), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    work.step(kind, both)


@torch.no_grad()
def selected(
    network: Residual, images: Tensor, targets: Tensor, rows: Tensor, random: torch.Generator, work: Work
) -> Tensor:
    """Return the rows of a batch to train on: half of them, drawn by the rank of their loss."""
    losses = work.step(("forward",), lambda: F.cross_entropy(network(images), targets, reduction="none"))
    rank = (losses.argsort().argsort().double() + 1) ** (1 / KEEP - 1)
    return rows[torch.multinomial(rank, round(KEEP * len(rows)), generator=random)]


@torch.no_grad()
def accuracy(network: Residual, images: Tensor, targets: Tensor) -> float:
    """Compute the accuracy on images, without training."""
    network.eval()
    logits = torch.cat([network(part) for part in torch.split(images, 500)])
    return float((logits.argmax(1) == targets).double().mean())


def run(task: str, data: Data, method: str, equal_to: str, steps: int, seed: int) -> Row:
    """Train and test once."""
    torch.manual_seed(seed)
    network = Residual(data.training[0].shape[1], 1 if task == "digits" else 2, DROP if method == METHODS[2] else 0.0)
    work = Work()
    start = time.process_time()
    train(data, network, method, steps, seed, work)
    seconds = time.process_time() - start
    return Row(task, method, equal_to, seed, steps, work.total, seconds, accuracy(network, *data.test))


def one_round(task: str, data: Data, epochs: int, seed: int) -> Iterator[Row]:
    """Train all runs of a round."""
    steps = epochs * (len(data.training[1]) // BATCH)
    yield (whole := run(task, data, "plain", "", steps, seed))
    for method in METHODS:
        yield (found := run(task, data, method, "", steps, seed))
        yield run(task, data, "plain", method, round(steps * found.work / whole.work), seed)


def summary(rows: Sequence[Row]) -> str:
    """Describe the mean accuracies, and the paired differences: at equal work, and to the whole run."""
    scores = {(row.method, row.equal_to, row.seed): row.score for row in rows}
    seeds = sorted({row.seed for row in rows})
    whole, lines = np.array([scores["plain", "", seed] for seed in seeds]), []
    lines.append(f"{rows[0].task}, {len(seeds)} seeds: plain {whole.mean():.4f}")
    for method in METHODS:
        own, plain = (np.array([scores[*key, seed] for seed in seeds]) for key in ((method, ""), ("plain", method)))
        share = np.mean([row.work for row in rows if row.method == method]) / np.mean(
            [row.work for row in rows if (row.method, row.equal_to) == ("plain", "")]
        )
        lines.append(
            f"  {method}: work {share:.3f}, {own.mean():.4f}, plain of as much work {plain.mean():.4f}; "
            f"difference {mean_difference(own - plain)}, to the whole run {mean_difference(own - whole)}"
        )
    return "\n".join(lines)


def standardised(training: Images, test: Images, limit: int) -> Data:
    """Return data of two sets of images, of the first at most `limit` a class, with mean 0 and variance 1."""
    rows = torch.cat(
        [(training.targets == label).nonzero()[:limit, 0] for label in range(int(training.targets.max()) + 1)]
    )
    images = [torch.as_tensor(pixels).permute(0, 3, 1, 2).float() for pixels in (training.pixels[rows], test.pixels)]
    mean, deviation = images[0].mean(), images[0].std()
    first, second = ((pixels - mean) / deviation for pixels in images)
    return Data((first, training.targets[rows]), (second, test.targets))


def main(args: Sequence[str] | None = None) -> None:
    """Measure the tasks, one after the other."""
    options = parser(__doc__, rounds=10, out=RESULTS / "pruning")
    options.add_argument("--tasks", nargs="+", choices=["digits", "cifar10"], default=["digits", "cifar10"])
    options.add_argument("--images", type=Path, default=Path("data/cifar10"), help="folder of CIFAR-10")
    options.add_argument("--epochs", type=int, default=8)
    given = options.parse_args(args)
    torch.set_num_threads(1)
    for task in given.tasks:
        source = DigitsDataModule() if task == "digits" else ImageFolderDataModule(str(given.images))
        data = standardised(source.training_images(), source.test_images(), 200)
        file = given.out / f"other_methods_{task}.csv"
        rows = read_csv(Row, file)
        for seed in range(len({row.seed for row in rows}), given.rounds):
            rows += one_round(task, data, given.epochs, seed)
            write_csv(rows, file)
        print(summary(rows), flush=True)


if __name__ == "__main__":
    main()
