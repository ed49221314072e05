"""`descent evaluate`: how good a trained classifier is, on labelled images of your own or the run's test data."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser, run
from foundation.errors import UserError

USAGE = """\
usage: descent evaluate --ckpt_path PATH [--images FOLDER] [options]

Evaluates a classifier: accuracy with a confidence interval, confusion matrix, precision and recall
of each class, calibration with a temperature fitted on the validation data, and the mistakes that
it was most confident of. Writes evaluation.html, evaluation.json, classes.csv, confusion.csv and
answers.csv.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images FOLDER         FOLDER/<class>/…, with the run's classes (default: the run's test data)
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
    return run(_evaluate, *parser.parse_with_overrides(args))


def _evaluate(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.answers import choosing
    from descent.inference.evaluation.evaluation import Evaluation
    from descent.inference.evaluation.page import calibration_remark, verdict
    from descent.inference.evaluation.report import write_evaluation
    from descent.inference.loading import load_trained
    from descent.runs.summary import shown

    trained = load_trained(options.ckpt_path, overrides)
    module = choosing(trained)
    outputs, remarks = _outputs(trained, module, options.images)
    temperature, reasons = _temperature(trained, module)
    evaluation = Evaluation(outputs, trained.class_names, temperature)
    folder = options.out or trained.folder("evaluation")
    text = write_evaluation(evaluation, folder, str(trained.checkpoint), [*remarks, *reasons])
    if options.json:
        print(text, end="")
    else:
        print(verdict(evaluation), calibration_remark(evaluation), sep="\n")
        print(f"page        {shown(folder / 'evaluation.html')}\nnumbers     {shown(folder / 'evaluation.json')}")
    return evaluation


def _outputs(trained: Any, module: Any, images: Path | None) -> tuple[Any, list[str]]:
    """Outputs on the labelled images or the run's test data, and what the report should say about them."""
    from descent.inference.evaluation.labelled_folder import find_labelled
    from descent.inference.evaluation.outputs import outputs_of_files, outputs_of_test
    from descent.inference.prediction.progress import counted
    from foundation.processes import say

    if images is None:
        with counted("Evaluating", None) as done:
            return outputs_of_test(trained, module, done), ["Measured on the run's own test data."]
    files = find_labelled(images, trained.class_names)
    with counted("Evaluating", len(files.paths)) as done:
        outputs = outputs_of_files(trained, module, files, done)
    remarks = [f"Measured on the images in {images}."]
    if files.missing:
        remarks.append(f"No images of {', '.join(files.missing)}: how many of these are found is not measured.")
    if files.strangers:
        remarks.append(f"Files left out that are no images by their ending: {files.strangers:,}.")
    if outputs.failures:
        path, reason = next(iter(outputs.failures.items()))
        remarks.append(f"Files that could not be decoded: {len(outputs.failures):,}, e.g. {path}: {reason}")
    for remark in remarks[1:]:
        say(remark)
    return outputs, remarks


def _temperature(trained: Any, module: Any) -> tuple[Any, list[str]]:
    """The temperature fitted on the validation data, or the reason why there is none."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from descent.inference.evaluation.calibration import fit_temperature
    from descent.inference.evaluation.outputs import validation_log_probabilities
    from foundation.processes import say

    try:
        return fit_temperature(*validation_log_probabilities(trained, module)), []
    except (UserError, MisconfigurationException, OSError) as error:
        text = f"No temperature was fitted, as the run's validation data cannot be opened: {error}"
        say(text)
        return None, [text]
