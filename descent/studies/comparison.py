"""`compare`: run a study from beginning to end, from Python or by `descent compare`."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from descent.studies.config_overlay import Config, expand, set_key
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.write import StudyResult, write_report
from descent.studies.running.budget import Budget
from descent.studies.running.folder import kept_if_a_run_is_done
from descent.studies.running.ledger import Ledger
from descent.studies.running.one_run import check_config
from descent.studies.running.planner import parse_budget
from descent.studies.running.search import Point
from descent.studies.running.worker import Worker
from descent.studies.study_config import StudyConfig, read_study
from foundation.compat.lightning_messages import quiet
from foundation.errors import UserError
from foundation.terminal.folding import fitted

SPLIT_KEY = "data.split_seed"
SETTLED = "lightning_modules.base.settled_batch_norm.SettledBatchNorm"


def compare(
    study: "str | Path | Config",
    out: "str | Path | None" = None,
    budget: "str | float | None" = None,
    storage: str | None = None,
    plan_only: bool = False,
    heartbeat: int = 30,
    verbose: bool = True,
    started: float | None = None,
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
        started: When the time of the budget began, by `time.monotonic()`; by default now.
        **changes: Values that replace keys of the study, e.g. `seeds=12`.

    Returns:
        The result; `None` with `plan_only`.

    Raises:
        UserError: The study or the config of a candidate is not valid.
        OSError: A file or the storage cannot be read or written.
    """
    started = time.monotonic() if started is None else started
    quiet()
    seconds = parse_budget(budget) if isinstance(budget, str) else budget
    config = read_study(study, **changes)
    limit = Budget(seconds, started)
    before = time.monotonic()
    defaults = check_candidates(config)
    limit.observe_check(time.monotonic() - before, len(config.names))
    folder = Path(out) if out is not None else Path("runs") / "studies" / config.name
    with kept_if_a_run_is_done(folder) as ledgers:
        ledger = Ledger(storage or f"sqlite:///{(folder / 'study.db').absolute()}", config.name, folder, heartbeat)
        ledgers.append(ledger)
        config = check_unchanged(ledger, with_split_key(config), folder)
        walls = [outcome.get("wall") or 0.0 for outcome in ledger.outcomes().values()]
        limit.earlier = sum(walls) / len(ledger.workers())
        worker = Worker(config, ledger, defaults, limit, _say if verbose else lambda line: None)
        progress = worker.run(plan_only)
    if plan_only:
        return None
    plan = worker.plan()
    assert plan is not None
    analysis = StudyAnalysis(config, progress.outcomes, defaults, plan.trials, worker.most_rounds(plan))
    result = StudyResult(folder, analysis, plan)
    write_report(result)
    return result


def _say(line: str) -> None:
    print(fitted(line), flush=True)


def check_candidates(config: StudyConfig) -> dict[str, Point]:
    """Parse every candidate's config before anything runs, and return its own values of the tuned keys.

    Raises:
        UserError: The config of a candidate is not valid; the message names the candidate.
    """
    seeded = dict.fromkeys(config.seed_keys, "seed_keys")
    if config.split_key:
        seeded[config.split_key] = "split_key"
    defaults = {}
    for name in config.names:
        defaults[name], run = config.defaults(name), config.run_config(name)
        for key in seeded:  # which get a number in every run
            set_key(run, key, 0)
        try:
            check_config(run)
        except UserError as error:
            named = next((f"{option} {key}, " for key, option in seeded.items() if key in str(error)), "")
            raise UserError(f"{named}candidate {name}: {error}") from error
    return defaults


def with_split_key(config: StudyConfig) -> StudyConfig:
    """Return the study with the key that varies its validation split, if its data has one."""
    if config.split_key is not None:
        return config
    own_data = [name for name in config.names if any(key.startswith("data") for key in config.candidates[name])]
    for name in {config.baseline, *own_data}:
        run = config.run_config(name)
        set_key(run, SPLIT_KEY, 0)
        try:
            check_config(run)
        except UserError:
            return replace(config, split_key="")
    return replace(config, split_key=SPLIT_KEY)


def check_unchanged(ledger: Ledger, config: StudyConfig, folder: Path) -> StudyConfig:
    """Check that a study is continued with the config that it was started with; return the config to continue with.

    A study of an earlier version stops no trials. A still earlier one tuned once and had one final run per round, and
    its short runs were validated with the running statistics of batch norm. They go on so.

    Raises:
        UserError: The config has changed.
    """
    record = json.loads(json.dumps(config.record()))
    started = ledger.get_or_set("rules", lambda: record)
    if "stop_trials" not in started:
        config = replace(config, stop_trials=False)
        del record["stop_trials"]
    if "tuning" not in started:
        config = replace(config, tuning="once", repeats=1, split_key="")
        record = {key: value for key, value in record.items() if key in started}
    differing = [key for key in record if record[key] != started.get(key)]
    if differing:
        raise UserError(
            f"the study in {folder} was started with another value of {', '.join(differing)}: choose a new folder "
            "(--out), or use the config that it was started with."
        )
    if "tuning" not in started:
        trainer = expand(config.run_config(config.baseline).get("trainer") or {})
        callbacks = [*(trainer.get("callbacks") or []), {"class_path": SETTLED, "init_args": {"windows": 0}}]
        config = replace(config, overrides=config.overrides | {"trainer.callbacks": callbacks})
    return config
