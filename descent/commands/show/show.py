"""`descent show`: draw losses, optimizers, schedules, or the schedule of a run."""

import importlib
from typing import Any

from descent.commands.parser import refuse
from descent.commands.table import SUBJECTS
from descent.training.parse_errors import suggest

USAGE = """\
usage: descent show SUBJECT [options]

Draws a figure, as PNG and SVG.

  descent show losses               value and gradient of every loss
  descent show optimizers           path of every optimizer down a narrow valley
  descent show schedule -c CONFIG   learning rate at every step of a run, before or after the run
  descent show schedulers           learning rate of every schedule

descent show SUBJECT --help tells more.
"""


def main(args: list[str]) -> Any:
    """Draw a subject.

    Args:
        args: What the command line has after `descent show`: the subject and its options.
    """
    if not args or args[0] in ("-h", "--help"):
        print(USAGE, end="")
        return None
    module = SUBJECTS.get(args[0])
    if module is None:
        refuse(f"unknown subject {args[0]}: show takes {', '.join(SUBJECTS)}.{suggest(args[0], SUBJECTS)}")
    return importlib.import_module(module).main(args[1:])
