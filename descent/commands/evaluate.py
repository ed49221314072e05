"""`descent evaluate`: evaluate a network on labelled images or on the run's test data."""

import argparse
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser
from descent.training.mistakes import mistakes_in_one_line

USAGE = """\
usage: descent evaluate --ckpt_path PATH [--images FOLDER] [options]

Evaluates a network in the way of its task, with 95 % confidence intervals and the result of the
simplest answer beside it. Classes: accuracy, precision, recall and F1 of each class, confusion
matrix, calibration, labels that may be wrong, the most confident mistakes and where the network
looked; of two classes also ROC, precision-recall and a table of thresholds. Labels: average
precision and F1 of each. Masks: IoU and Dice of each class, masks side by side. Numbers: RMSE, MAE,
R², residuals. Writes evaluation.html, evaluation.json, answers.csv and further tables.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images FOLDER         FOLDER/<class>/…, with the run's classes (default: the run's test data);
                          for networks that choose one class per image
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
    from descent.inference.evaluation.report import write_report
    from descent.inference.evaluation.tasks import evaluate
    from descent.inference.loading import load_trained_network
    from foundation.files import require_writable, shown
    from foundation.terminal.folding import fitted

    trained = load_trained_network(options.ckpt_path, overrides)
    folder = options.out or trained.folder("evaluation")
    require_writable(folder, "--out")
    report = evaluate(trained, options.images, options.tta)
    text = write_report(report, folder)
    if options.json:
        print(text, end="")
    else:
        print(fitted("\n".join(report.sentences)))
        print(f"page        {shown(folder / 'evaluation.html')}\nnumbers     {shown(folder / 'evaluation.json')}")
    return report.found
