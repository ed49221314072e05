"""`descent show`: draw the losses, optimizers and schedules that are shipped, or schedule and curves of runs."""

import importlib
from pathlib import Path
from typing import Any

from descent.commands.parser import CommandParser, refuse
from descent.training.mistakes import mistakes_in_one_line
from foundation.suggestions import suggest

USAGE = """\
usage: descent show SUBJECT [options]

Draws a figure, as PNG and SVG.

  descent show curves RUN [RUN …]   learning curves of a run, or of several in one figure: training
                                    and validation, the best epoch, the learning rate
    --metric NAME                   what to draw, such as accuracy or val/f1; can be repeated
    --to FILE                       a .png, .pdf or .svg file (default curves.png)
  descent show losses               value and gradient of the losses for regression, classification
                                    and segmentation
  descent show optimizers           path of every optimizer down an ill-conditioned quadratic (a
                                    narrow valley), each at its own best learning rate
    --condition K                   ratio of the largest to the smallest curvature (default 50)
    --steps N                       steps of each optimizer (default 100)
  descent show schedulers           every schedule: the learning rate over a whole run
    --epochs N                      length of the run (default 100)
  descent show schedule -c CONFIG   learning rate at every step of a run, before or after the run
                                    (descent show schedule --help)

  --out FOLDER                      where to write (default: the working folder)
"""
OPTIONS: dict[str, dict[str, float]] = {
    "losses": {},
    "optimizers": {"condition": 50.0, "steps": 100},
    "schedulers": {"epochs": 100},
}
"""The options of each subject with their defaults; the module of the subject's name draws it."""
LARGEST = {"condition": 1e9, "steps": 10_000, "epochs": 10_000}
"""Beyond these a figure takes minutes, and shows nothing more."""
SUBJECTS = sorted([*OPTIONS, "curves", "schedule"])  # `cli.py` runs `show schedule` as a training command


def main(args: list[str]) -> Any:
    """Draw a subject; `args` are the words after `descent show`."""
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return None
    subject, *words = args
    if subject == "curves":
        from descent.commands.show import curves

        return curves.main(words, USAGE)
    if subject not in OPTIONS:
        refuse(f"unknown subject {subject}: show takes {', '.join(SUBJECTS)}.{suggest(subject, SUBJECTS)}")
    parser = CommandParser(f"show {subject}", USAGE)
    parser.add_argument("--out", type=Path, default=Path())
    for name, default in OPTIONS[subject].items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    options = vars(parser.parse_args(words))
    for name in OPTIONS[subject]:
        if not 1 <= options[name] <= LARGEST[name]:
            parser.error(f"--{name} must be in [1, {LARGEST[name]:g}], got {options[name]:g}")
    with mistakes_in_one_line("stopped."):
        try:
            options["out"].mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"--out {options['out']} cannot be written: {error.strerror}")
        return importlib.import_module(f"descent.commands.show.{subject}").draw(**options)
