"""`descent evaluate`: evaluate a classifier on labelled images or on the run's test data."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line
from foundation.errors import UserError

USAGE = """\
usage: descent evaluate --ckpt_path PATH [--images FOLDER] [options]

Evaluates a single-label classifier: accuracy with a 95 % confidence interval, precision, recall and
F1 of each class, confusion matrix, calibration before and after temperature scaling, the most
confident mistakes. Writes evaluation.html, evaluation.json, classes.csv, confusion.csv and
answers.csv.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images FOLDER         FOLDER/<class>/…, with the run's classes (default: the run's test data)
  --tta                   classify from the mean of the probabilities of each image and its mirror
                          image, and report what that gains
  --out FOLDER            where to write (default: evaluation/ in the run's folder)
  --json                  print evaluation.json and nothing else, for programs
  --KEY VALUE             a key of the run's config: --data.eval_batch_size 64,
                          --trainer.accelerator gpu, …
"""


def main(args: list[str]) -> Any:
    """Evaluate a checkpoint; `args` are the words after `descent evaluate`."""
    parser = CommandParser("evaluate", USAGE)
    parser.add_checkpoint()
    parser.add_json()
    parser.add_argument("--images", type=Path)
    parser.add_argument("--tta", action="store_true")
    options, overrides = parser.parse_with_overrides(args)
    with mistakes_in_one_line("stopped."):
        return _evaluate(options, overrides)


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.classifiers import require_single_label_classifier
    from descent.inference.evaluation.evaluation import Evaluation
    from descent.inference.evaluation.page import accuracy_sentence, calibration_sentence
    from descent.inference.evaluation.report import write_evaluation
    from descent.inference.loading import load_trained_network
    from descent.runs.summary import shown

    trained = load_trained_network(options.ckpt_path, overrides)
    module = require_single_label_classifier(trained)
    predictions, remarks = _predictions(trained, module, options.images, options.tta)
    temperature, reasons = _temperature(trained, module, options.tta)
    evaluation = Evaluation(predictions, trained.class_names, temperature)
    folder = options.out or trained.folder("evaluation")
    text = write_evaluation(evaluation, folder, str(trained.checkpoint), [*remarks, *reasons])
    if options.json:
        print(text, end="")
    else:
        gain = [] if evaluation.mirror_gain is None else [evaluation.mirror_gain.sentence()]
        print(accuracy_sentence(evaluation), *gain, calibration_sentence(evaluation), sep="\n")
        print(f"page        {shown(folder / 'evaluation.html')}\nnumbers     {shown(folder / 'evaluation.json')}")
    return evaluation


def _predictions(trained: Any, module: Any, images: Path | None, tta: bool) -> tuple[Any, list[str]]:
    """Predictions for the labelled images or the run's test data, and remarks for the report."""
    from descent.inference.evaluation.labelled_folder import find_labelled_images
    from descent.inference.evaluation.labelled_predictions import predict_labelled_files, predict_test_data
    from foundation.processes import say

    if images is None:
        return predict_test_data(trained, module, tta), ["Evaluated on the run's own test data."]
    files = find_labelled_images(images, trained.class_names)
    predictions = predict_labelled_files(trained, module, files, tta)
    remarks = [f"Evaluated on the images in {images}."]
    if files.missing_classes:
        remarks.append(f"No images of {', '.join(files.missing_classes)}: the recall of these classes is not known.")
    if files.other_files:
        remarks.append(f"Skipped files without an image's file extension: {files.other_files:,}.")
    if predictions.failures:
        path, reason = next(iter(predictions.failures.items()))
        remarks.append(f"Files that could not be decoded: {len(predictions.failures):,}, e.g. {path}: {reason}")
    for remark in remarks[1:]:
        say(remark)
    return predictions, remarks


def _temperature(trained: Any, module: Any, tta: bool) -> tuple[Any, list[str]]:
    """Fit a temperature on the validation data; if that cannot be opened, return the reason."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from descent.inference.evaluation.calibration import fit_temperature
    from descent.inference.evaluation.labelled_predictions import validation_log_probabilities
    from foundation.processes import say

    try:
        return fit_temperature(*validation_log_probabilities(trained, module, tta)), []
    except (UserError, MisconfigurationException, OSError) as error:
        text = f"No temperature was fitted, because the run's validation data cannot be opened: {error}"
        say(text)
        return None, [text]
