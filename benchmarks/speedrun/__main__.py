"""Time to accuracy on CIFAR-10: `configs/speedrun.yaml` against another program, with the same images and cores.

    python -m benchmarks.speedrun --data FOLDER --reference "python THEIRS.py {seed}" [--seeds 3] [--out FOLDER]

FOLDER contains train/<class>/… and test/<class>/…. The other program runs once per seed with the system's allocator and
once with the tuned one. Its last line must be JSON with `train_s` (seconds of training alone), `wall_s` (seconds of the
whole process), `accuracy` (between 0 and 1, on the test images), and optionally `accuracy_tta`, the accuracy with
test-time augmentation. The published numbers are for airbench94 with Muon (Keller Jordan, MIT), ported to a CPU: bf16
autocast, channels_last, float32 weights, nothing else changed.

Ours is `descent fit` and then `descent evaluate` of its last checkpoint, in two processes. Its seconds are those of the
whole fit process: they include imports, opening the cache, validation and checkpoints, which the other program's
training seconds do not. The programs run in turns. Runs that are in the CSV already are not repeated.
"""

import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from benchmarks.common.command_line import RESULTS, machine_line, parser, read_csv, write_csv
from benchmarks.common.paired import Ratio, mean_difference, paired_ratio
from benchmarks.common.processes import environment_with_allocator, run_python
from descent.allocator import FOR_CHILDREN
from foundation.figure_style import COLORS, legend, panels

CONTESTANTS = OURS, THEIRS_TUNED, THEIRS = "descent", "reference, tuned allocator", "reference"


class Row(NamedTuple):
    """One run: seconds of training and of the whole process, accuracy on the test images."""

    who: str
    seed: int
    train_s: float
    wall_s: float
    accuracy: float
    accuracy_tta: float | None = None


def ours(data: Path, seed: int, extra: Iterable[str] = ()) -> Row:
    """Train with the ordinary command in a new folder, then evaluate."""
    with TemporaryDirectory() as folder:
        images = ["--data", "datamodules.ImageFolderDataModule", "--data.root", str(data.resolve())]
        start = time.perf_counter()
        descent(["fit", "-c", "configs/speedrun.yaml", *images, "--seed_everything", str(seed), *extra], folder)
        seconds = time.perf_counter() - start
        last = "runs/speedrun/0/checkpoints/last.ckpt"
        descent(["evaluate", "--ckpt_path", last, "--out", "found"], folder)
        accuracy = json.loads(Path(folder, "found", "evaluation.json").read_text())["accuracy"]
    return Row(OURS, seed, seconds, seconds, accuracy)


def descent(words: list[str], folder: str) -> None:
    """Run a command of this project in a folder."""
    run_python(["-m", "cli", *words], folder)


def theirs(command: str, seed: int, tuned: bool) -> Row:
    """Run the other program and read the JSON in its last line."""
    variables = environment_with_allocator(None) | (FOR_CHILDREN if tuned else {})
    words = shlex.split(command.format(seed=seed))
    ended = subprocess.run(words, env=variables, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return Row(
        THEIRS_TUNED if tuned else THEIRS,
        seed,
        float(found["train_s"]),
        float(found["wall_s"]),
        float(found["accuracy"]),
        found.get("accuracy_tta"),
    )


def measure(runs: Iterable[tuple[str, int]], run: Callable[[str, int], Row], file: Path) -> list[Row]:
    """Run those of the runs (who, seed) that are not in the file yet, in this order; write each row at once."""
    rows = read_csv(Row, file)
    known = {(row.who, row.seed) for row in rows}
    for who, seed in (wanted for wanted in runs if wanted not in known):
        rows.append(run(who, seed))
        write_csv(rows, file)
        print(f"{who}, seed {seed}: {rows[-1].train_s:.0f} s, {rows[-1].accuracy:.2%}", flush=True)
    return rows


def paired_rows(rows: Iterable[Row], who: str) -> list[tuple[Row, Row]]:
    """Return our run and that of another program for each seed that both have."""
    found = {(row.who, row.seed): row for row in rows}
    return [(found[OURS, seed], row) for (name, seed), row in found.items() if name == who and (OURS, seed) in found]


def ratios(rows: list[Row]) -> dict[str, Ratio]:
    """Compute our seconds as a multiple of each other program's training seconds, over the seeds that both have."""
    found = {}
    for who in (THEIRS, THEIRS_TUNED):
        pairs = paired_rows(rows, who)
        if len(pairs) >= 2:
            found[who] = paired_ratio([mine.train_s for mine, _ in pairs], [other.train_s for _, other in pairs])
    return found


def draw(rows: list[Row], file: Path) -> None:
    """Draw accuracy against seconds, relative to the tuned reference with the same seed; one point per run."""
    base = {row.seed: row.train_s for row in rows if row.who == THEIRS_TUNED}
    figure, (axes,) = panels(size=(6.4, 3.6))
    for who, color, marker in zip(CONTESTANTS, COLORS, "osD", strict=False):
        own = [row for row in rows if row.who == who and row.seed in base]
        relative = [row.train_s / base[row.seed] for row in own]
        axes.scatter(relative, [100 * row.accuracy for row in own], c=color, marker=marker, label=who)
    axes.set(xlabel=f"seconds, relative to: {THEIRS_TUNED}", ylabel="accuracy on the test images, %", xlim=(0, None))
    middle = 100 * sum(row.accuracy for row in rows) / len(rows)
    spread = max(abs(100 * row.accuracy - middle) for row in rows)
    axes.set_ylim(middle - spread - 1, middle + spread + 1)
    legend(axes)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Measure, print, write, draw."""
    options = parser(__doc__, out=RESULTS / "speedrun")
    options.add_argument("--data", type=Path, required=True, help="folder of the images")
    options.add_argument("--reference", required=True, help="command of the other program, with {seed}")
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--only", nargs="+", choices=CONTESTANTS, default=CONTESTANTS, help="the programs to run now")
    arguments = options.parse_args()

    def run(who: str, seed: int) -> Row:
        if who == OURS:
            return ours(arguments.data, seed)
        return theirs(arguments.reference, seed, tuned=who == THEIRS_TUNED)

    runs = ((who, seed) for seed in range(arguments.seeds) for who in arguments.only)
    rows = measure(runs, run, arguments.out / "speedrun.csv")
    print(machine_line())
    for who in CONTESTANTS:
        own = [row for row in rows if row.who == who]
        if own:
            accuracy, seconds = mean(row.accuracy for row in own), mean(row.train_s for row in own)
            print(f"{who:28} {seconds:6.0f} s  {accuracy:.2%}  ({len(own)} seeds)")
    for who in CONTESTANTS[1:]:
        if pairs := paired_rows(rows, who):
            means = [mean(row.train_s for row in each) for each in zip(*pairs, strict=True)]
            print(f"ours against {who}, of the means of {len(pairs)} seeds that both have: {means[0] / means[1]:.3f}")
            print(f"  accuracy {mean_difference([mine.accuracy - other.accuracy for mine, other in pairs])}")
    for who, ratio in ratios(rows).items():
        print(f"ours against {who}: {ratio}")
    draw(rows, arguments.out / "speedrun.png")


if __name__ == "__main__":
    main()
