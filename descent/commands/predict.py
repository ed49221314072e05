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
predicted class) and, if files cannot be decoded, corrupt.csv. The answers for up to 10 images are
printed.

  --ckpt_path PATH        a checkpoint, a run's folder (its best checkpoint), or an experiment's
                          folder (its newest run)
  --images PATH...        files, and folders with all their subfolders
  --out FOLDER            where to write (default: predictions/ in the run's folder)
  --top_k K               the K most probable classes: columns class, probability, class_2,
                          probability_2, …
  --all_probabilities     the probability of every class too: columns probability_of_<class>
  --threshold NUMBER      binary and multi-label networks: predict positive from this probability
                          on, in (0, 1) (default: the run's); for labels also LABEL=NUMBER..., or
                          a YAML or JSON file with LABEL: NUMBER
  --temperature T         divide the logits by a number, or by the temperature that is fitted on
                          the run's validation data: fitted
  --tta                   mean of the probabilities of each image and its mirror image
  --json                  print the predictions as JSON and nothing else, for programs
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
    parser.add_json()
    parser.add_argument("--images", nargs="+", action="extend")
    parser.add_argument("--top_k", type=int)
    parser.add_argument("--all_probabilities", action="store_true")
    parser.add_argument("--threshold", nargs="+", action="extend")
    parser.add_argument("--temperature")
    parser.add_argument("--tta", action="store_true")
    options, overrides = parser.parse_with_overrides(args)
    with mistakes_in_one_line("stopped."):
        return _predict(options, overrides)


def _predict(options: argparse.Namespace, overrides: list[str]) -> Any:
    from descent.inference.classifiers import require_classifier
    from descent.inference.loading import load_trained_network
    from descent.inference.prediction.image_files import find_images
    from descent.inference.prediction.prediction import predict_files
    from foundation.files import require_writable

    found = find_images(options.images)
    trained = load_trained_network(options.ckpt_path, overrides)
    module = require_classifier(trained)
    folder = options.out or trained.folder("predictions")
    require_writable(folder, "--out")
    answers = _answer_options(options, trained, module)
    predictions = predict_files(trained, module, found.paths, answers, options.tta)
    predictions.numbered = options.top_k is not None
    about = {"checkpoint": str(trained.checkpoint), "temperature": answers.temperature, "tta": options.tta}
    _write(predictions, folder, about, found.other_files, options.json)
    return predictions


def _answer_options(options: argparse.Namespace, trained: Any, module: Any) -> Any:
    from descent.inference.classifiers import AnswerOptions
    from descent.inference.evaluation.usable_temperature import usable_temperature
    from descent.inference.prediction.options import checked_temperature, checked_threshold, checked_top_k
    from foundation.processes import say

    names = trained.class_names
    top_k = checked_top_k(options.top_k, module, names)
    threshold = checked_threshold(options.threshold, module, names)
    temperature = 1.0
    if options.temperature is not None:
        temperature, sentence = usable_temperature(
            trained, module, checked_temperature(options.temperature), options.tta
        )
        say(sentence)
    return AnswerOptions(top_k, options.all_probabilities, threshold, temperature)


def _write(predictions: Any, folder: Path, about: dict[str, Any], other_files: int, as_json: bool) -> None:
    """Write the tables, then print the answers, then write the page."""
    from descent.inference.prediction.image_files import say_left_out
    from descent.inference.prediction.page import prediction_page
    from descent.inference.prediction.table import answer_lines, count_lines, json_text, write_failures, write_table
    from foundation.files import shown
    from foundation.html.page_file import write_page
    from foundation.terminal.folding import fitted

    folder.mkdir(parents=True, exist_ok=True)
    write_table(predictions, folder / "predictions.csv")
    write_failures(predictions.failures, folder / "corrupt.csv")
    say_left_out(other_files, predictions.failures, " (corrupt.csv)")
    if as_json:
        print(json_text(predictions, about), end="", flush=True)
    else:
        for line in answer_lines(predictions) if len(predictions.paths) <= FEW else []:
            print(line)
        print(fitted("\n".join(count_lines(predictions))))
        print(f"table       {shown(folder / 'predictions.csv')}", flush=True)
    write_page(folder / "predictions.html", lambda: prediction_page(predictions, about["checkpoint"]))
    if not as_json:
        print(f"page        {shown(folder / 'predictions.html')}")
