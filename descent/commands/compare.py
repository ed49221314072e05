"""`descent compare`: candidates over one experiment, and how sure the difference is."""

import argparse
import sys
from typing import Any

from descent.allocator import tune_allocator
from descent.training.mistakes import mistakes_in_one_line

USAGE = """\
usage: descent compare -c STUDY [--budget TIME] [options]

Runs a study: each candidate with the same tuning budget, then again with fresh seeds that all
share; says who ties and who is how far behind. Killed or stopped, the same command goes on;
started several times, the processes share the work.

  -c FILE             the study: experiment, candidates, baseline, metric (descent presets studies)
  --budget TIME       fit trials and seeds to a time, e.g. 90s, 10m, 1h30m
  --plan              run the pilot, print what the study could find out and how long, and stop
  --out FOLDER        where report and runs lie (default runs/studies/NAME)
  --storage URL       a database that several machines share, e.g.
                      postgresql+psycopg://user@host/studies; the same command on each
                      (default: SQLite in the folder)
  --heartbeat N       seconds between a worker's signs of life in such a database (default 30)
  --seed N            other seeds: the study again with other weights and batches
  --json              print verdict and table as JSON and nothing else, for programs
  --KEY VALUE         a key of the study (trials, seeds, metric, …), or with a dot one of every
                      run (--trainer.max_epochs 5, --data data/image_folder.yaml)
"""


def main(args: list[str]) -> Any:
    """Run the command.

    Raises:
        SystemExit: With 2 after a mistake, said in one line; with 130 after Ctrl+C.
    """
    if not args or "-h" in args or "--help" in args:
        print(USAGE, end="")
        return None
    known, changes, overrides = parse(args)
    tune_allocator()  # before torch is imported
    from pathlib import Path

    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # classes of the user's own
    with mistakes_in_one_line("stopped; what is finished is kept: the same command goes on."):
        return _compare(known, changes, overrides)


def _compare(known: argparse.Namespace, changes: dict[str, Any], overrides: dict[str, Any]) -> Any:
    from descent.studies.comparison import compare
    from descent.studies.study_config import read_study

    if overrides:
        changes["overrides"] = {**read_study(known.config).overrides, **overrides}
    result = compare(
        known.config, known.out, known.budget, known.storage, known.plan, known.heartbeat, not known.json, **changes
    )
    if result is not None and known.json:
        print(as_json(result))
    elif result is not None:
        print(f"\n{result.verdict}\n\nreport      {result.folder}/report.html\ntable       {result.folder}/table.csv")
    return result


def as_json(result: Any) -> str:
    """Verdict, ties and table of a study, as JSON; what is not a number is null."""
    import json

    table = json.loads(result.table.reset_index().to_json(orient="records"))
    found = {"verdict": result.verdict, "metric": result.tables.metric, "ties": result.tables.letters}
    return json.dumps(found | {"table": table, "report": str(result.folder / "report.html")}, indent=2)


def parse(args: list[str]) -> tuple[argparse.Namespace, dict[str, Any], dict[str, Any]]:
    """Options of the command, keys of the study, dotted keys of every run."""
    parser = argparse.ArgumentParser(prog="descent compare", add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("-c", "--config")
    parser.add_argument("--budget")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--out")
    parser.add_argument("--storage")
    parser.add_argument("--heartbeat", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    try:
        known, rest = parser.parse_known_args(args)
    except argparse.ArgumentError as error:
        _refuse(str(error))
    if known.config is None:
        _refuse("descent compare needs a study: -c configs/studies/quickstart.yaml (descent presets studies).")
    return known, *_keys(rest)


def _keys(words: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    import yaml

    changes: dict[str, Any] = {}
    overrides: dict[str, Any] = {}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            _refuse(f"unexpected {name}: options are written --key value.")
        if not equals:
            if not rest:
                _refuse(f"{name} needs a value.")
            value = rest.pop(0)
        key = name.removeprefix("--")
        (overrides if "." in key or key in ("data", "model") else changes)[key] = yaml.safe_load(value)
    return changes, overrides


def _refuse(text: str) -> Any:
    print(f"error: {text}", file=sys.stderr)
    raise SystemExit(2)
