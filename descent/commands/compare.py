"""`descent compare`: candidates (losses, optimizers, …) on one experiment, and how certain the difference is."""

import argparse
import shlex
from typing import Any, NoReturn

from descent.commands.parser import CommandParser, options_in, print_json, refuse
from descent.studies.running.supervisor import supervise
from descent.training.mistakes import mistakes_in_one_line
from foundation.terminal.folding import fitted

USAGE = """\
usage: descent compare -c STUDY [--budget TIME] [options]
       descent compare --summary FOLDER FOLDER … [--out FILE] [--json]

Runs a study in rounds: each tunes every candidate with the same number of trials, and trains it
again with fresh seeds that all share. After some rounds it compares the candidates, and stops
those that are decided. Says which is better, which are practically equal and which it cannot tell
apart. After a kill or Ctrl+C the same command continues; several processes with the same command
share the work. A run that kills its process twice counts as crashed.

  -c FILE             the study: experiment, candidates, baseline, metric (descent presets studies)
  --budget TIME       end after a time, start and report included, e.g. 90s, 10m, 1h30m
  --tuning once       tune once instead of in every round: fewer runs, and a verdict on the
                      settings that this tuning chose
  --plan              run the pilot, print which differences the study could detect and how long it
                      takes, and stop
  --out FOLDER        folder for report and runs (default runs/studies/NAME)
  --storage URL       a database that several machines share, e.g.
                      postgresql+psycopg://user@host/studies; the same command on each
                      (default: SQLite in the folder)
  --heartbeat N       seconds between a worker's signs of life in such a database (default 30)
  --seed N            other seeds: the study again with other weights and batches
  --json              print verdict and table as JSON and nothing else, for programs
  --summary FOLDER …  several finished studies at once, e.g. on other data sets: mean ranks and
                      performance profiles of the candidates that all of them have (--out FILE)
  --KEY VALUE         a key of the study (trials, seeds, metric, …), or with a dot one of every
                      run (--trainer.max_epochs 5, --data data/image_folder.yaml)
"""


def main(args: list[str]) -> Any:
    """Run a study; `args` are the words after `descent compare`."""
    parser = CommandParser("compare", USAGE)
    parser.add_argument("-c", "--config")
    parser.add_argument("--budget")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--storage")
    parser.add_argument("--heartbeat", type=int, default=30)
    parser.add_argument("--summary", nargs="+")
    parser.add_json()
    options, rest = parser.parse_with_overrides(args, of_run=False)
    if options.summary is not None:
        of_a_study = ("-c", options.config), ("--budget", options.budget), ("--storage", options.storage)
        if given := [*(name for name, value in of_a_study if value), *["--plan"] * options.plan, *rest]:
            parser.error(f"--summary takes finished studies and no {given[0]}")
        with mistakes_in_one_line("stopped."):
            return _summary(options)
    if options.config is None:
        parser.error("descent compare needs a study: -c configs/studies/quickstart.yaml (descent presets studies)")
    changes, overrides = _keys(rest)
    supervise()
    with mistakes_in_one_line("stopped; what is finished is kept, and the same command continues."):
        result = _compare(options, changes, overrides)
    if options.plan and not options.json:
        print(fitted(run_of_plan(args)))
    return result


def run_of_plan(args: list[str]) -> str:
    """Return the line that says which command runs a study that was planned.

    Example:
        >>> run_of_plan(["-c", "studies/my study.yaml", "--plan"])
        "run it      descent compare -c 'studies/my study.yaml' (it uses the runs of the plan)"
    """
    words = shlex.join(word for word in args if word != "--plan")
    return f"run it      descent compare {words} (it uses the runs of the plan)"


def _compare(options: argparse.Namespace, changes: dict[str, Any], overrides: dict[str, Any]) -> Any:
    from descent.studies.comparison import compare
    from descent.studies.running.budget import process_start
    from descent.studies.study_config import read_study

    for key in changes:
        _check_known(key)
    if overrides:
        changes["overrides"] = {**read_study(options.config).overrides, **overrides}
    result = compare(
        options.config, options.out, options.budget, options.storage, options.plan, options.heartbeat,
        not options.json, process_start(), **changes,
    )  # fmt: skip
    if result is not None and options.json:
        print_json(as_dict(result))
    elif result is not None:
        said = "\n\n".join(fitted(text) for text in (result.verdict, result.population) if text)
        print(f"\n{said}\n\nreport      {result.folder}/report.html\ntable       {result.folder}/table.csv")
    return result


def _summary(options: argparse.Namespace) -> Any:
    from pathlib import Path

    from descent.studies.summary.page import sentences, summarise, summary_page
    from descent.studies.summary.read import read_studies
    from foundation.errors import UserError
    from foundation.files import replace_text, unused_name

    wanted = Path(options.out or "summary.html")
    if options.out and wanted.is_dir():
        raise UserError(f"--out must be the file of the page, and {options.out} is a folder.")
    summary = summarise(*read_studies([Path(folder) for folder in options.summary]))
    page = unused_name(wanted)
    replace_text(page, summary_page(summary))
    if options.json:
        print_json({**summary.as_dict(), "report": str(page)})
    else:
        print("\n".join([*map(fitted, sentences(summary)), "", f"report      {page}"]))
    return summary


def as_dict(result: Any) -> dict[str, Any]:
    """Return what a study found as plain values, under the names of `StudyResult`."""
    return {
        "verdict": result.verdict,
        "population": result.population,
        "metric": result.metric,
        "ties": result.ties,
        "table": result.table.reset_index().to_dict(orient="records"),
        "pairs": result.pairs.to_dict(orient="records"),
        "context": result.context,
        "report": str(result.report),
    }


def _keys(words: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys of the study, and keys of every run: those with a dot, `data` and `model`."""
    import yaml

    changes: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            refuse(f"unexpected {name}: options are written --key value.")
        if not equals:
            value = next(rest, "") or _refuse_without_value(name)
        key = name.removeprefix("--")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            refuse(f"{name} must be a value as in YAML, got {value}.")
        (overrides if "." in key or key in ("data", "model") else changes)[key] = read
    return changes, overrides


def _refuse_without_value(option: str) -> NoReturn:
    if "." not in option:
        _check_known(option.removeprefix("--"))
    refuse(f"{option} needs a value.")


def _check_known(key: str) -> None:
    from descent.studies.study_config import KEYS
    from foundation.suggestions import suggest

    if key not in (*KEYS, "data", "model"):
        known = sorted({*(f"--{name}" for name in KEYS), *options_in(USAGE)})
        refuse(f"unknown argument --{key}.{suggest(f'--{key}', known)} (descent compare --help)")
