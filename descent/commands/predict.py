"""`descent predict --images`: classify images of one's own."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import carry_out, parse, parser

USAGE = """\
usage: descent predict --ckpt_path PATH --images FOLDER_OR_FILES... [options]

Classifies image files of any size and mode, resized and normalised as the run's own. Writes
predictions.csv (path, class, probability, runner-up), predictions.html (images with their answers)
and, if need be, corrupt.csv.

  --ckpt_path PATH        a checkpoint, a run's folder (its best), or an experiment's folder (its
                          newest run)
  --images PATH...        folders, with all that is in them, and files
  --out FOLDER            where to write (default: predictions/ in the run's folder)
  --KEY VALUE             a key of the run's config: --data.eval_batch_size 64,
                          --trainer.accelerator gpu, …

Without --images: the run's own test images; descent predict --help tells more.
"""


def main(args: list[str]) -> Any:
    """Run the command.

    Args:
        args: What stands on the command line after `descent predict`, `--images` among it.

    Raises:
        SystemExit: With 2 after a mistake, said in one line; with 130 after Ctrl+C.
    """
    if "-h" in args or "--help" in args:
        print(USAGE, end="")
        return None
    made = parser("predict")
    made.add_argument("--images", nargs="+", action="extend")
    known, rest = parse(made, args)
    return carry_out(lambda: _predict(known, rest))


def _predict(known: argparse.Namespace, rest: list[str]) -> Any:
    from descent.inference.classifiers import require_classifier
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.image_files import find_images
    from descent.inference.prediction.prediction import predict_files

    found = find_images(known.images)
    trained = load_trained_network(known.ckpt_path, rest)
    module = require_classifier(trained)
    predictions = predict_files(trained, module, found.paths)
    folder = known.out or trained.folder("predictions")
    _write(predictions, folder, f"{trained.checkpoint}", found.other_files)
    return predictions


def _write(predictions: Any, folder: Path, network: str, other_files: int) -> None:
    from descent.inference.prediction.page import prediction_page
    from descent.inference.prediction.table import write_failures, write_table
    from descent.runs.summary import shown
    from foundation.files import replacing
    from foundation.processes import say

    folder.mkdir(parents=True, exist_ok=True)
    write_table(predictions, folder / "predictions.csv")
    write_failures(predictions.failures, folder / "corrupt.csv")
    with replacing(folder / "predictions.html") as part:
        part.write_text(prediction_page(predictions, network), "utf-8", "backslashreplace")
    if other_files:
        say(f"skipped files without an image's file extension: {other_files:,}")
    if predictions.failures:
        path, said = next(iter(predictions.failures.items()))
        say(f"files that could not be decoded (corrupt.csv): {len(predictions.failures):,}, e.g. {path}: {said}")
    print(f"{len(predictions.paths):,} images classified")
    print(f"table       {shown(folder / 'predictions.csv')}\npage        {shown(folder / 'predictions.html')}")
