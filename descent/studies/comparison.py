"""`compare`: run a study from beginning to end, from Python or by `descent compare`."""

import json
from functools import partial
from pathlib import Path
from typing import Any

from descent.studies.config_overlay import Config
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.write import StudyResult, write_report
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import check_config
from descent.studies.running.planner import parse_budget
from descent.studies.running.search import Point
from descent.studies.running.worker import Worker
from descent.studies.study_config import StudyConfig, read_study
from foundation.compat.lightning_messages import quiet
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
    """Run or continue a study, and write its report.

    Args:
        study: A YAML file or a mapping; see `descent.studies.study_config.StudyConfig`.
        out: Folder of the study, by default `runs/studies/<name>`. Runs that are finished there are not repeated.
        budget: Time for the whole study, in seconds or as a text such as "10m"; trials and seeds are fitted to it.
        storage: URL of a database that several machines share; by default a SQLite file in the folder.
        plan_only: Stop after the pilot and print the plan.
        heartbeat: With a database server, seconds between two heartbeats of a worker; a worker without one for three
            times as long counts as dead.
        verbose: Print a line for each run.
        **changes: Values that replace keys of the study, e.g. `seeds=12`.

    Returns:
        The result; `None` with `plan_only`.

    Raises:
        UserError: The study or the config of a candidate is not valid.
        OSError: A file or the storage cannot be read or written.
    """
    quiet()
    seconds = parse_budget(budget) if isinstance(budget, str) else budget
    config = read_study(study, **changes)
    defaults = check_candidates(config)
    folder = Path(out) if out is not None else Path("runs") / "studies" / config.name
    folder.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(storage or f"sqlite:///{(folder / 'study.db').absolute()}", config.name, folder, heartbeat)
    check_unchanged(ledger, config, folder)
    worker = Worker(config, ledger, defaults, seconds, partial(print, flush=True) if verbose else lambda line: None)
    progress = worker.run(plan_only)
    if plan_only:
        return None
    plan = worker.plan()
    assert plan is not None
    analysis = StudyAnalysis(config, progress.outcomes, defaults, plan.trials, int(ledger.get("seeds")))
    result = StudyResult(folder, analysis, plan)
    write_report(result)
    return result


def check_candidates(config: StudyConfig) -> dict[str, Point]:
    """Parse every candidate's config before anything runs, and return its own values of the tuned keys.

    Raises:
        UserError: The config of a candidate is not valid; the message names the candidate.
    """
    defaults = {}
    for name in config.names:
        defaults[name] = config.defaults(name)
        try:
            check_config(config.run_config(name))
        except UserError as error:
            raise UserError(f"candidate {name}: {error}") from error
    return defaults


def check_unchanged(ledger: Ledger, config: StudyConfig, folder: Path) -> None:
    """Check that a study is continued with the config that it was started with.

    Raises:
        UserError: The config has changed.
    """
    record = json.loads(json.dumps(config.record()))
    started = ledger.get_or_set("rules", lambda: record)
    differing = [key for key in record if record[key] != started.get(key)]
    if differing:
        raise UserError(
            f"the study in {folder} was started with another value of {', '.join(differing)}: choose a new folder "
            "(--out), or use the config that it was started with."
        )
