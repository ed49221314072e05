"""What was compared: data, network, length of the runs, date; read from the study's config and its runs."""

from collections.abc import Iterable, Mapping
from typing import Any

from descent.studies.config_overlay import look_up
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.running.one_run import Outcome
from foundation.errors import UserError


def context(analysis: StudyAnalysis) -> dict[str, str]:
    """Return name and value of each fact: candidates, data, network, epochs, steps, metric, date.

    A value that differs between candidates is listed by candidate.
    """
    names = analysis.config.names
    configs = {name: analysis.config.run_config(name) for name in names}
    runs = {name: list(analysis.final(name)) for name in names}
    ended = sorted(str(o["ended"]) for o in analysis.outcomes.values() if o.get("ended"))
    facts = {
        "candidates": ", ".join(names),
        "data": _by_candidate({name: _class_of(config, "data") for name, config in configs.items()}),
        "network": _by_candidate({name: _class_of(config, "model.network") for name, config in configs.items()}),
        "epochs": _by_candidate({name: _value(config, "trainer.max_epochs") for name, config in configs.items()}),
        "optimizer steps": _by_candidate({name: _steps(found) for name, found in runs.items() if found}),
        "set for all": ", ".join(f"{key} {value}" for key, value in _plain_overrides(analysis).items()),
        "judged by": analysis.metric,
        "final runs": _by_candidate({name: str(len(found)) for name, found in runs.items()}),
        "date": ended[-1][:10] if ended else "",
    }
    return {key: value for key, value in facts.items() if value}


def title(analysis: StudyAnalysis) -> str:
    """Return the title of the page, which tells studies of one name apart: by data, network, and what is set anew."""
    facts = context(analysis)
    where = ", ".join(facts[key] for key in ("data", "network") if key in facts)
    data = {key: value for key, value in _plain_overrides(analysis).items() if key.startswith("data.")}
    own = [f"{key.rpartition('.')[2]} {value}" for key, value in data.items()]
    own += [f"seed {analysis.config.seed}"] if analysis.config.seed else []
    return (
        f"{analysis.config.name}: {' vs '.join(analysis.config.names)}"
        + (f" on {where}" if where else "")
        + (f" ({', '.join(own)})" if own else "")
    )


def _plain_overrides(analysis: StudyAnalysis) -> dict[str, Any]:
    """Return what the study sets for all candidates and the other facts do not say."""
    plain = (str, int, float, bool)
    overrides = {key: value for key, value in analysis.config.overrides.items() if isinstance(value, plain)}
    return {
        key: value for key, value in overrides.items() if key not in ("trainer.max_epochs", "data", "model.network")
    }


def _by_candidate(values: Mapping[str, str]) -> str:
    if len(set(values.values())) < 2:
        return next(iter(values.values()), "")
    return ", ".join(f"{value or 'not set'} ({name})" for name, value in values.items())


def _class_of(config: Any, key: str) -> str:
    try:
        found = look_up(config, key)
    except UserError:
        return ""
    path = found.get("class_path", "") if isinstance(found, dict) else found
    name = str(path or "").rpartition(".")[2]
    arguments = (found.get("init_args") or {}) if isinstance(found, dict) else {}
    plain = {k: v for k, v in arguments.items() if k in ("root", "width", "depth", "name") and v is not None}
    return name + (f" ({', '.join(f'{k} {v}' for k, v in plain.items())})" if name and plain else "")


def _value(config: Any, key: str) -> str:
    try:
        return str(look_up(config, key))
    except UserError:
        return ""


def _steps(runs: Iterable[Outcome]) -> str:
    ends = sorted({o["steps"][-1] for o in runs if o.get("steps") and o["status"] == "done"})
    return " to ".join(str(end) for end in dict.fromkeys([ends[0], ends[-1]])) if ends else ""
