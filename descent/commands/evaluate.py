"""`descent evaluate`: how good a trained network is, on labelled images of one's own or the run's test data."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import carry_out, parse, parser
from foundation.errors import UserError

USAGE = """\
usage: descent evaluate --ckpt_path PATH [--images FOLDER] [options]

Measures a classifier: accuracy with its interval, confusion matrix, precision and recall of each
class, calibration and a temperature fitted on the validation data, the surest mistakes. Writes
evaluation.html, evaluation.json, classes.csv, confusion.csv and answers.csv.

  --ckpt_path PATH        a checkpoint, a run's folder (its best), or an experiment's folder (its
                          newest run)
  --images FOLDER         FOLDER/<class>/…, with the run's classes (default: the run's test data)
  --out FOLDER            where to write (default: evaluation/ in the run's folder)
  --json                  print evaluation.json as well, for programs
  --KEY VALUE             a key of the run's config: --data.eval_batch_size 64,
                          --trainer.accelerator gpu, …
"""


def main(args: list[str]) -> Any:
    """Run the command.

    Args:
        args: What stands on the command line after `descent evaluate`.

    Raises:
        SystemExit: With 2 after a mistake, said in one line; with 130 after Ctrl+C.
    """
    if not args or "-h" in args or "--help" in args:
        print(USAGE, end="")
        return None
    made = parser("evaluate")
    made.add_argument("--images", type=Path)
    made.add_argument("--json", action="store_true")
    known, rest = parse(made, args)
    return carry_out(lambda: _evaluate(known, rest))


def _evaluate(known: argparse.Namespace, rest: list[str]) -> Any:
    from descent.inference.answers import choosing
    from descent.inference.evaluation.evaluation import Evaluation
    from descent.inference.evaluation.page import calibration_remark, verdict
    from descent.inference.evaluation.report import write_evaluation
    from descent.inference.loading import load_trained
    from descent.runs.summary import shown

    trained = load_trained(known.ckpt_path, rest)
    module = choosing(trained)
    outputs, remarks = _outputs(trained, module, known.images)
    temperature, why = _temperature(trained, module)
    found = Evaluation(outputs, trained.class_names, temperature)
    folder = known.out or trained.folder("evaluation")
    text = write_evaluation(found, folder, str(trained.checkpoint), [*remarks, *why])
    if known.json:
        print(text, end="")
        return found
    print(verdict(found))
    print(calibration_remark(found))
    print(f"page        {shown(folder / 'evaluation.html')}\nnumbers     {shown(folder / 'evaluation.json')}")
    return found


def _outputs(trained: Any, module: Any, images: Path | None) -> tuple[Any, list[str]]:
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
        path, said = next(iter(outputs.failures.items()))
        remarks.append(f"Files that could not be decoded: {len(outputs.failures):,}, e.g. {path}: {said}")
    for remark in remarks[1:]:
        say(remark)
    return outputs, remarks


def _temperature(trained: Any, module: Any) -> tuple[Any, list[str]]:
    """Fitted on the validation data; where that cannot be opened, what is in the way."""
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
