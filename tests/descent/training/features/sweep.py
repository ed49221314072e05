"""Run commands with Lightning's flags and callbacks in one warm process, and write down what happens.

python -m tests.descent.training.features.sweep     # writes docs/lightning_features.md
"""

import io
import os
import re
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.distributed as dist

from callbacks import LearningCurves
from cli import main

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "lightning_features.md"
BASE = (
    "-c configs/quickstart.yaml --trainer.accelerator cpu --trainer.max_epochs 1 --trainer.limit_train_batches 2 "
    "--trainer.limit_val_batches 1 --trainer.num_sanity_val_steps 0 --trainer.log_every_n_steps 1 --data.batch_size 16 "
    "--model.network.width 4"
)
"""A run of two steps, to which each case adds its arguments."""


@dataclass
class Outcome:
    """What a command did.

    Attributes:
        cli: The command's object, if it ended well.
        said: Everything that it printed.
        error: Its error in one line; empty if there was none.
        files: What it left in its working folder, by path.
        rows: Rows of the run's `metrics.csv` with their column names.
    """

    cli: Any
    said: str
    error: str
    files: set[str]
    rows: str

    @property
    def trainer(self) -> Any:
        """The command's trainer."""
        return self.cli.trainer

    @property
    def steps(self) -> int:
        """Optimizer steps that were taken."""
        return int(self.trainer.global_step)

    def has(self, ending: str) -> bool:
        """Return whether there is a file whose path ends so."""
        return any(file.endswith(ending) for file in self.files)


@dataclass(frozen=True)
class Case:
    """A flag or callback with values, and what happens.

    Args:
        words: What is typed, without the base.
        happens: A sentence for the page; empty for a refusal, of which the error is shown.
        check: What shows that the sentence is true.
        command: The command.
        shown: What the page shows instead of `words`.
        without_gpu: The error depends on there being no GPU.
    """

    words: str
    happens: str = ""
    check: Callable[[Outcome], bool] = lambda outcome: outcome.steps == 2
    command: str = "fit"
    shown: str = ""
    without_gpu: bool = False

    @property
    def refused(self) -> bool:
        """Whether the command must be refused in one line."""
        return not self.happens


@contextmanager
def everything_kept() -> Iterator[None]:
    """Leave environment, working folder, modules and torch's global settings as they were."""
    environment, folder, paths = dict(os.environ), Path.cwd(), list(sys.path)
    os.environ.pop("MASTER_ADDR", None)
    benchmark = torch.backends.cudnn.benchmark
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = paths
        torch.use_deterministic_algorithms(False)
        torch.backends.cudnn.benchmark = benchmark
        if dist.is_available() and dist.is_initialized():
            dist.destroy_process_group()


def outcome_of(case: Case) -> Outcome:
    """Run a case in a folder of its own."""
    said, cli, error = io.StringIO(), None, ""
    words = [case.command, *shlex.split(BASE), *shlex.split(case.words)]
    without_figure = mock.patch.object(LearningCurves, "on_fit_end")
    with everything_kept(), tempfile.TemporaryDirectory() as folder, without_figure, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.chdir(folder)
        with redirect_stdout(said), redirect_stderr(said):
            try:
                cli = main(words)
            except SystemExit:
                errors = [line for line in said.getvalue().splitlines() if line.startswith("error: ")]
                error = errors[-1].removeprefix("error: ") if errors else "exit without an error"
            except Exception as raised:
                error = f"a traceback: {type(raised).__name__}: {' '.join(str(raised).split())[:200]}"
        files = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        rows = "".join(path.read_text() for path in Path(folder).rglob("metrics.csv"))
    return Outcome(cli, said.getvalue(), error, files, rows)


def problem_of(case: Case, outcome: Outcome) -> str:
    """Return what is wrong with an outcome; empty if it is as the case says."""
    if outcome.error.startswith(("a traceback", "exit without")):
        return f"{case.words}: {outcome.error}"
    if case.refused and not outcome.error:
        return f"{case.words}: was not refused"
    if case.refused:
        left = sorted(file for file in outcome.files if not file.startswith("own"))
        return f"{case.words}: left {left}" if left else ""
    if outcome.error:
        return f"{case.words}: was refused: {outcome.error}"
    return "" if case.check(outcome) else f"{case.words}: not true: {case.happens}"


def row_of(name: str, case: Case, outcome: Outcome) -> str:
    """Return the line of the page."""
    error = re.sub(r"\d+(?= cores\b)|(?<=at most )\d+(?=\.$)", "N", outcome.error)
    happens = case.happens or f"refused: {error}"
    typed = (case.shown or case.words).replace("|", "\\|")
    return f"| {name} | `{typed}` | {happens.replace('|', chr(92) + '|')} |"


def rows_of(cases: dict[str, list[Case]], kept: str) -> tuple[list[str], list[str]]:
    """Run all cases.

    Args:
        cases: Cases by the name of a flag or callback.
        kept: The page, from which the rows are taken that cannot be made on this machine.

    Returns:
        The lines of the table, and the problems.
    """
    lines, problems = [], []
    for name, tried in cases.items():
        for number, case in enumerate(tried):
            title = f"`{name}`" if number == 0 else ""
            if case.without_gpu and torch.accelerator.is_available():
                begin = f"| {title} | `{case.words}` |"
                lines.append(next(line for line in kept.splitlines() if line.startswith(begin)))
                continue
            outcome = outcome_of(case)
            problems.append(problem_of(case, outcome))
            lines.append(row_of(title, case, outcome))
    return lines, [problem for problem in problems if problem]


HEAD = """# Lightning's flags and callbacks

What each flag of Lightning's Trainer and each of its callbacks does in `descent fit`. A test runs every line of these
tables on the CPU and fails if the page differs, or if a newer Lightning has another flag or callback. To make the page
again: `python -m tests.descent.training.features.sweep`.

"Refused" is an error of one line, exit code 2, before anything is trained or written.

"""


def page() -> tuple[str, list[str]]:
    """Return the page and the problems."""
    from tests.descent.training.features.callback_cases import CALLBACKS
    from tests.descent.training.features.flag_cases import FLAGS
    from tests.descent.training.features.other_cases import OTHERS

    kept = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    text, problems = HEAD, []
    for title, column, cases in (
        ("Flags of the Trainer", "flag", FLAGS),
        ("Callbacks", "callback", CALLBACKS),
        ("Optimizers, schedules and data", "what", OTHERS),
    ):
        lines, wrong = rows_of(cases, kept)
        text += "\n".join(
            [f"## {title}\n", f"| {column} | typed | what happens |", "| --- | --- | --- |", *lines, "\n"]
        )
        problems += wrong
    return text.rstrip() + "\n", problems


if __name__ == "__main__":
    started = time.process_time()
    made, found = page()
    PAGE.write_text(made, encoding="utf-8")
    print("\n".join(found) or f"{PAGE}: {time.process_time() - started:.0f} s of processor time")
