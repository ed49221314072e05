"""Time to accuracy on CIFAR-10: `configs/speedrun.yaml` against another program, on the same images and cores.

    python -m benchmarks.speedrun --data FOLDER --reference "python THEIRS.py {seed}" [--seeds 3] [--out FOLDER]

FOLDER holds train/<class>/… and test/<class>/…. The other program is run with each seed, with the system's allocator
and with the tuned one. Its last line must be JSON: `train_s` (seconds of training alone), `wall_s` (of the whole
process), `accuracy` (a share, on the test images), and `accuracy_tta` if it also takes the mean over several views.
The program that was raced is airbench94 with Muon (Keller Jordan, MIT) carried over to a CPU: bf16 autocast,
channels_last, float32 weights, nothing else changed.

Ours is `descent fit` and then `descent evaluate` of its last checkpoint, in processes of their own. Its seconds are
those of the whole process of the fit: imports, opening the cache, validations and checkpoints are in it, and are left
out of the other's training. All take turns. What was measured already is read from the CSV and not repeated.
"""

import argparse
import csv
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.paired import Ratio, keep, machine_line, paired_ratio
from descent.allocator import FOR_CHILDREN, SWITCH
from foundation.figure_style import COLORS

ROOT = Path(__file__).parents[1]
CONTESTANTS = OURS, THEIRS_TUNED, THEIRS = "descent", "reference, tuned allocator", "reference"


class Row(NamedTuple):
    """A run: seconds of training alone and of the whole process, accuracy on the test images."""

    who: str
    seed: int
    train_s: float
    wall_s: float
    accuracy: float
    accuracy_tta: float | None = None


def ours(data: Path, seed: int, extra: Iterable[str] = ()) -> Row:
    """Train by the ordinary command in a folder of its own, then test."""
    with TemporaryDirectory() as folder:
        images = ["--data", "datamodules.ImageFolderDataModule", "--data.root", str(data.resolve())]
        start = time.perf_counter()
        _descent(["fit", "-c", "configs/speedrun.yaml", *images, "--seed_everything", str(seed), *extra], folder)
        seconds = time.perf_counter() - start
        last = "runs/speedrun/0/checkpoints/last.ckpt"
        _descent(["evaluate", "--ckpt_path", last, "--out", "found"], folder)
        accuracy = json.loads(Path(folder, "found", "evaluation.json").read_text())["accuracy"]
    return Row(OURS, seed, seconds, seconds, accuracy)


def _descent(words: list[str], folder: str) -> None:
    command = [sys.executable, "-m", "cli", *words]
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)


def theirs(command: str, seed: int, tuned: bool) -> Row:
    """Run the other program; its last line says what it found."""
    plain = {name: value for name, value in os.environ.items() if name not in (*FOR_CHILDREN, SWITCH)}
    words = shlex.split(command.format(seed=seed))
    ended = subprocess.run(
        words, env=plain | (FOR_CHILDREN if tuned else {}), check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return Row(
        THEIRS_TUNED if tuned else THEIRS,
        seed,
        float(found["train_s"]),
        float(found["wall_s"]),
        float(found["accuracy"]),
        found.get("accuracy_tta"),
    )


def read(file: Path) -> list[Row]:
    """What was measured before."""
    if not file.exists():
        return []
    with file.open() as opened:
        return [
            Row(
                row["who"],
                int(row["seed"]),
                float(row["train_s"]),
                float(row["wall_s"]),
                float(row["accuracy"]),
                float(row["accuracy_tta"]) if row["accuracy_tta"] else None,
            )
            for row in csv.DictReader(opened)
        ]


def race(data: Path, command: str, seeds: int, file: Path, whom: Sequence[str] = CONTESTANTS) -> list[Row]:
    """Run what is not in the file yet, all in turn for each seed; keep each row at once."""
    rows = read(file)
    for seed in range(seeds):
        for who in whom:
            if any((row.who, row.seed) == (who, seed) for row in rows):
                continue
            rows.append(ours(data, seed) if who == OURS else theirs(command, seed, tuned=who == THEIRS_TUNED))
            keep(rows, file)
            print(f"{who}, seed {seed}: {rows[-1].train_s:.0f} s, {rows[-1].accuracy:.2%}", flush=True)
    return rows


def ratios(rows: list[Row]) -> dict[str, Ratio]:
    """Seconds of ours as a multiple of each other's training, over the seeds that both have."""
    mine = {row.seed: row.train_s for row in rows if row.who == OURS}
    found = {}
    for who in (THEIRS, THEIRS_TUNED):
        other = {row.seed: row.train_s for row in rows if row.who == who and row.seed in mine}
        if len(other) >= 2:
            found[who] = paired_ratio([mine[seed] for seed in other], list(other.values()))
    return found


def draw(rows: list[Row], file: Path) -> None:
    """Accuracy against seconds, a point a run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for who, color, marker in zip(CONTESTANTS, COLORS, "osD", strict=False):
        own = [row for row in rows if row.who == who]
        axes.scatter(
            [row.train_s for row in own], [100 * row.accuracy for row in own], c=color, marker=marker, label=who
        )
    axes.set(xlabel="training, seconds", ylabel="accuracy on the test images, %", xlim=(0, None))
    middle = 100 * sum(row.accuracy for row in rows) / len(rows)
    spread = max(abs(100 * row.accuracy - middle) for row in rows)
    axes.set_ylim(middle - spread - 1, middle + spread + 1)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=150)


def main() -> None:
    """Race, print, keep, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--reference", required=True, help="a command with {seed}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS, help="who runs now")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/speedrun"))
    arguments = parser.parse_args()
    rows = race(arguments.data, arguments.reference, arguments.seeds, arguments.out / "speedrun.csv", arguments.only)
    print(machine_line())
    for who in CONTESTANTS:
        own = [row for row in rows if row.who == who]
        if own:
            accuracy, seconds = (
                sum(values) / len(own) for values in ([r.accuracy for r in own], [r.train_s for r in own])
            )
            print(f"{who:28} {seconds:6.0f} s  {accuracy:.2%}  ({len(own)} seeds)")
    seconds_of = {who: mean(row.train_s for row in rows if row.who == who) for who in {row.who for row in rows}}
    for who in CONTESTANTS[1:]:
        if who in seconds_of and OURS in seconds_of:
            print(f"ours against {who}, of the means: {seconds_of[OURS] / seconds_of[who]:.3f}")
    for who, ratio in ratios(rows).items():
        print(f"ours against {who}: {ratio}")
    draw(rows, arguments.out / "speedrun.png")


if __name__ == "__main__":
    main()
