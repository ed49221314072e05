"""Test score against samples: runs with data pruning, and ordinary runs of as many samples.

    python -m benchmarks.pruning --tasks digits digits_noisy --rounds 10

A round trains, with one seed: an ordinary run of E epochs; for each ratio r a pruned run of E epochs, which sees
(1 − r) E times the data, and an ordinary run of (1 − r) E epochs. Each has the same rates, over its own length. Scores
are those of the test set. Writes one CSV a task, and prints the paired differences with 95 % intervals.
CIFAR-10 is read from a folder of images, train/<class>/… and test/<class>/…: --images FOLDER.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything

from benchmarks.common.command_line import RESULTS, parser, write_csv
from benchmarks.common.paired import mean_difference
from benchmarks.pruning.tasks import Task, tasks
from datamodules import Pruning

RATIOS = (0.3, 0.5, 0.7)


class Row(NamedTuple):
    """A run: how it was trained, what it cost, its test score and loss."""

    task: str
    method: str
    ratio: float
    epochs: int
    seed: int
    steps: int
    samples: int
    seconds: float
    score: float
    loss: float


def run(task: Task, ratio: float, epochs: int, seed: int, pruned: bool) -> Row:
    """Train and test once.

    Args:
        task: The task.
        ratio: Share of the samples that are left out, by pruning or because the run is shorter.
        epochs: Length of the run.
        seed: Of weights, order and augmentation.
        pruned: Whether to prune.
    """
    seed_everything(seed, verbose=False)
    module, data = task.module(), task.data(seed, Pruning(ratio) if pruned else None)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = time.perf_counter()
    trainer.fit(module, data)
    seconds = time.perf_counter() - start
    steps = trainer.global_step
    (result,) = trainer.test(module, data, verbose=False)
    method = "pruned" if pruned else "plain"
    found = result[f"test/{task.score}"], result["test/loss"]
    return Row(task.name, method, ratio, epochs, seed, steps, steps * data.batch_size, seconds, *found)


def plan(seed: int, epochs: int, ratios: Sequence[float] = RATIOS) -> Iterator[tuple[float, int, int, bool]]:
    """Yield the runs of a round: ratio, epochs, seed, and whether to prune."""
    yield 0.0, epochs, seed, False
    for ratio in ratios:
        yield ratio, epochs, seed, True
        yield ratio, max(round((1 - ratio) * epochs), 1), seed, False


def one_round(task: Task, seed: int, ratios: Sequence[float] = RATIOS) -> Iterator[Row]:
    """Train all runs of a round."""
    return (run(task, *planned) for planned in plan(seed, task.epochs, ratios))


def summary(rows: Sequence[Row]) -> str:
    """Describe the mean scores, and the paired differences: at equal samples, and to the whole run."""
    table = {(row.method, row.ratio, row.seed): row.score for row in rows}
    seeds = sorted({row.seed for row in rows})
    whole = np.array([table["plain", 0.0, seed] for seed in seeds])
    lines = [f"{rows[0].task}, {len(seeds)} seeds: plain {whole.mean():.4f}"]
    for ratio in sorted({row.ratio for row in rows} - {0.0}):
        pruned, plain = (np.array([table[method, ratio, seed] for seed in seeds]) for method in ("pruned", "plain"))
        lines.append(
            f"  ratio {ratio:g}: pruned {pruned.mean():.4f}, plain of as many samples {plain.mean():.4f}; "
            f"difference {mean_difference(pruned - plain)}, to the whole run {mean_difference(pruned - whole)}"
        )
    return "\n".join(lines)


def main(args: Sequence[str] | None = None) -> None:
    """Measure the tasks, one after the other."""
    options = parser(__doc__, rounds=10, out=RESULTS / "pruning")
    names = [task.name for task in tasks(Path())]
    options.add_argument("--tasks", nargs="+", choices=names, default=names, help="default: all")
    options.add_argument("--images", type=Path, default=Path("data/cifar10"), help="folder of CIFAR-10")
    options.add_argument("--seconds", type=float, default=float("inf"), help="begin no round of a task after so long")
    given = options.parse_args(args)
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    for task in (task for task in tasks(given.images) if task.name in given.tasks):
        rows: list[Row] = []
        start = time.perf_counter()
        for seed in range(given.rounds):
            if time.perf_counter() - start > given.seconds:
                break
            rows += one_round(task, seed)
            write_csv(rows, Path(given.out) / f"{task.name}.csv")
        print(summary(rows), flush=True)


if __name__ == "__main__":
    main()
