"""`descent predict --images`: classify images of your own."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line

USAGE = """\
usage: descent predict --ckpt_path PATH --images FOLDER_OR_FILES... [options]

Classifies image files of any size and mode; they are resized and normalised as the run's own.
Writes predictions.csv (path, class, probability, runner-up), predictions.html (each image with its
predicted class) and, if files cannot be decoded, corrupt.csv.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images PATH...        files, and folders with all their subfolders
  --out FOLDER            where to write (default: predictions/ in the run's folder)
  --KEY VALUE             a key of the run's config: --data.eval_batch_size 64,
                          --trainer.accelerator gpu, …

Without --images the command predicts the run's own test images: see descent predict --help.
"""

FEW = 10
"""Up to so many images the answers are printed too."""


def main(args: list[str]) -> Any:
    """Classify image files; `args` are the words after `descent predict`."""
    parser = CommandParser("predict", USAGE)
    parser.add_checkpoint()
    parser.add_argument("--images", nargs="+", action="extend")
    options, overrides = parser.parse_with_overrides(args)
    with mistakes_in_one_line("stopped."):
        return _predict(options, overrides)


def _predict(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.classifiers import require_classifier
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.image_files import find_images
    from descent.inference.prediction.prediction import predict_files

    found = find_images(options.images)
    trained = load_trained_network(options.ckpt_path, overrides)
    predictions = predict_files(trained, require_classifier(trained), found.paths)
    _write(predictions, options.out or trained.folder("predictions"), str(trained.checkpoint), found.other_files)
    return predictions


def _write(predictions: Any, folder: Path, checkpoint: str, other_files: int) -> None:
    from descent.inference.prediction.page import prediction_page
    from descent.inference.prediction.table import answer_lines, write_failures, write_table
    from descent.runs.summary import shown
    from foundation.files import replacing
    from foundation.processes import say

    folder.mkdir(parents=True, exist_ok=True)
    write_table(predictions, folder / "predictions.csv")
    write_failures(predictions.failures, folder / "corrupt.csv")
    with replacing(folder / "predictions.html") as part:
        part.write_text(prediction_page(predictions, checkpoint), "utf-8", "backslashreplace")
    if other_files:
        say(f"skipped files without an image's file extension: {other_files:,}")
    if predictions.failures:
        path, reason = next(iter(predictions.failures.items()))
        say(f"files that could not be decoded (corrupt.csv): {len(predictions.failures):,}, e.g. {path}: {reason}")
    if len(predictions.paths) <= FEW:
        for line in answer_lines(predictions):
            print(line)
    print(f"{len(predictions.paths):,} {'image' if len(predictions.paths) == 1 else 'images'} classified")
    print(f"table       {shown(folder / 'predictions.csv')}\npage        {shown(folder / 'predictions.html')}")
