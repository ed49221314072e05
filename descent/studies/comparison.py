"""A study from beginning to end: from Python, as the command does it."""

from pathlib import Path
from typing import Any

from descent.studies.config_overlay import Config
from descent.studies.report.results import StudyTables
from descent.studies.report.write import StudyResult
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import check_config
from descent.studies.running.planner import parse_budget
from descent.studies.running.search import Point
from descent.studies.running.worker import Worker
from descent.studies.study_config import StudyConfig, read_study
from descent.training.quiet import quiet
from foundation.errors import UserError


def compare(
    study: "str | Path | Config",
    out: "str | Path | None" = None,
    budget: "str | float | None" = None,
    storage: str | None = None,
    plan_only: bool = False,
    heartbeat: int = 30,
    verbose: bool = True,
    **changes: Any,
) -> StudyResult | None:
    """Run a study, or go on with it, and write its report.

    Args:
        study: A YAML file or a mapping; see `descent.studies.study_config.StudyConfig`.
        out: Its folder, `runs/studies/<name>` by default. What is finished there is not run again.
        budget: Seconds, or a time such as "10m": fits the study to it.
        storage: URL of a database that several machines share; by default a SQLite file in the folder.
        plan_only: Stop after the pilot, with the plan.
        heartbeat: With a database server: seconds between two signs of life of a worker; one that has shown none for
            three times as long is taken for dead.
        verbose: Print a line for each run.
        **changes: Keys of the study to be replaced, e.g. `seeds=12`.

    Returns:
        The result; `None` with `plan_only`.

    Raises:
        UserError: Something is wrong with the study.
        OSError: A file or the storage cannot be read or written.
    """
    quiet()
    seconds = parse_budget(budget) if isinstance(budget, str) else budget
    config = read_study(study, **changes)
    defaults = check_candidates(config)
    folder = Path(out) if out is not None else Path("runs") / "studies" / config.name
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(storage or f"sqlite:///{(folder / 'study.db').absolute()}", config.name, folder, heartbeat)
    same_rules(ledger, config, folder)
    worker = Worker(config, ledger, defaults, seconds, say=_print if verbose else _nothing)
    progress = worker.run(plan_only)
    if plan_only:
        return None
    plan = worker.plan()
    assert plan is not None
    tables = StudyTables(config, progress.outcomes, defaults, plan.trials, int(ledger.settled("seeds")))
    result = StudyResult(folder, tables, plan)
    from descent.studies.report.write import write_report

    write_report(result)
    return result


def check_candidates(config: StudyConfig) -> dict[str, Point]:
    """Parse every candidate's config before anything runs; its own values of what is tuned.

    Raises:
        UserError: One is not accepted; the message names it.
    """
    defaults = {}
    for name in config.names:
        defaults[name] = config.defaults(name)
        try:
            check_config(config.run_config(name))
        except UserError as error:
            raise UserError(f"candidate {name}: {error}") from error
    return defaults


def same_rules(ledger: Ledger, config: StudyConfig, folder: Path) -> None:
    """See that a study is continued with the rules that it was begun with.

    Raises:
        UserError: They differ.
    """
    import json

    record = json.loads(json.dumps(config.record()))
    begun = ledger.once("rules", lambda: record)
    differing = [key for key in record if record[key] != begun.get(key)]
    if differing:
        raise UserError(
            f"the study in {folder} was begun with another {', '.join(differing)}: take a new folder (--out), or the "
            "config it was begun with."
        )


def _print(line: str) -> None:
    print(line, flush=True)


def _nothing(line: str) -> None:
    pass
