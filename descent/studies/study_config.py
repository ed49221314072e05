"""What a study compares, and by which rules: read from YAML or a mapping, checked before anything runs."""

import difflib
import os
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from descent import presets
from descent.studies.config_overlay import Config, absolute, lay, load_experiment, look_up
from foundation.errors import UserError


@dataclass(frozen=True)
class StudyConfig:
    """A study.

    Args:
        name: Of the study and its folder.
        experiment: The base: a run's config, with the user's network and data.
        candidates: By name, the keys that a candidate sets over the base, e.g.
            `{"SGD": {"model.optimizer": "optimizers/sgd.yaml"}}`; `search` among them replaces the study's.
        baseline: The candidate that the others are compared with; there is no default.
        targets: Candidates whose median result is the target of steps-to-target and seconds-to-target; by default the
            baseline.
        overrides: Keys set for all candidates.
        metric: What is judged: a validation metric common to all.
        mode: `max` or `min`.
        search: Keys that are tuned, each with a factor f > 1: log-uniform from default/f to default·f.
        trials: Tuning runs a candidate, ≥ 1; 1 takes the defaults as they are.
        seeds: Re-runs a candidate with fresh seeds, the same for all; ≥ 2.
        seed: ≥ 0; another one repeats the study with other weights and batches.
        seed_keys: Keys that get the run's seed, e.g. `data.data_seed`: each re-run draws data of its own then, the same
            for all candidates.
        threads: Threads of torch in each run; `null` leaves them.
        smallest_difference: In the metric's own unit: a study that cannot find it is refused.
        interval: `t`, or `bootstrap` (studentised) for means of skewed metrics.
    """

    name: str
    experiment: str
    candidates: dict[str, Config]
    baseline: str
    metric: str
    targets: tuple[str, ...] = ()
    overrides: Config = field(default_factory=dict)
    mode: str = "max"
    search: dict[str, float] = field(default_factory=lambda: {"model.optimizer.lr": 10.0})
    trials: int = 5
    seeds: int = 8
    seed: int = 0
    seed_keys: tuple[str, ...] = ()
    threads: int | None = 1
    smallest_difference: float | None = None
    interval: str = "t"

    @property
    def larger_is_better(self) -> bool:
        """Direction of the metric."""
        return self.mode == "max"

    @property
    def names(self) -> list[str]:
        """The candidates', in the order given."""
        return list(self.candidates)

    def search_of(self, candidate: str) -> dict[str, float]:
        """What is tuned for a candidate."""
        own = self.candidates[candidate].get("search")
        return dict(self.search if own is None else own)

    def run_config(self, candidate: str) -> Config:
        """The whole config of a candidate's run, with its own defaults."""
        config = load_experiment(self.experiment)
        own = {key: value for key, value in self.candidates[candidate].items() if key != "search"}
        for key, value in {**self.overrides, **own}.items():
            lay(config, key, absolute(value, Path.cwd()))
        return config

    def defaults(self, candidate: str) -> dict[str, float]:
        """The candidate's own values of what is tuned.

        Raises:
            UserError: It does not have such a key, or its value is no positive number.
        """
        config = self.run_config(candidate)
        values = {}
        for key in self.search_of(candidate):
            try:
                value = look_up(config, key)
            except UserError as error:
                raise UserError(f"candidate {candidate}: search.{error}") from error
            if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
                raise UserError(
                    f"candidate {candidate}: search.{key} needs a default > 0 to search around, found {value!r}."
                )
            values[key] = float(value)
        return values

    def record(self) -> Config:
        """Everything that must be the same for a study to be continued, for JSON."""
        return {**asdict(self), "targets": list(self.targets), "seed_keys": list(self.seed_keys)}


KEYS = tuple(entry.name for entry in fields(StudyConfig))


def read_study(source: "str | Path | Config", **changes: Any) -> StudyConfig:
    """A study from a YAML file (looked up as presets are) or a mapping; `changes` replace keys of it.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: A key is missing, unknown or out of range.
    """
    if isinstance(source, dict):
        return _check({"name": "study", **source, **changes}, Path.cwd())
    path = Path(presets.resolve(str(source)))
    if not path.is_file():
        raise FileNotFoundError(f"study not found: {source}.{presets.nearest(str(source))}")
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path.name} holds no study: experiment, candidates, baseline, metric.")
    return _check({"name": path.stem, **content, **changes}, path.resolve().parent)


def _check(content: Config, folder: Path) -> StudyConfig:
    for key in content:
        if key not in KEYS:
            close = difflib.get_close_matches(key, KEYS, n=1)
            hint = f"did you mean {close[0]}?" if close else f"a study has {', '.join(KEYS)}."
            raise UserError(f"unknown key {key} in the study: {hint}")
    _check_candidates(content)
    for key in ("experiment", "metric"):
        if not content.get(key):
            what = "a run's config, e.g. quickstart.yaml" if key == "experiment" else "e.g. val/accuracy"
            raise UserError(f"the study has no {key}: {what}.")
    content = {**content, "targets": tuple(content.get("targets") or (content["baseline"],))}
    content["seed_keys"] = tuple(content.get("seed_keys") or ())
    config = StudyConfig(**portable(content, folder))
    _check_numbers(config)
    _check_metric(config)
    return config


def portable(value: Any, folder: Path) -> Any:
    """The same with each preset's path as it is found from anywhere: its short name, or relative to the working folder.

    Args:
        value: Of a study.
        folder: Of the file that it stands in.
    """
    if isinstance(value, dict):
        return {key: portable(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item, folder) for item in value]
    if isinstance(value, str) and value.endswith(presets.SUFFIXES):
        found = Path(presets.resolve(value, folder)).resolve()
        if found.is_relative_to(presets.SHIPPED):
            return found.relative_to(presets.SHIPPED).as_posix()
        return os.path.relpath(found) if found.is_file() else value
    return value


def _check_candidates(content: Config) -> None:
    candidates = content.get("candidates")
    if not isinstance(candidates, dict) or len(candidates) < 2:
        found = len(candidates) if isinstance(candidates, dict) else 0
        raise UserError(
            f"a study needs at least 2 candidates, found {found}: name each, and what it sets, e.g. "
            "candidates: {SGD: {model.optimizer: optimizers/sgd.yaml}, Adam: {model.optimizer: optimizers/adam.yaml}}."
        )
    for name, keys in candidates.items():
        if not isinstance(keys, dict):
            raise UserError(f"candidate {name} must be keys and values, found {keys!r}.")
    baseline = content.get("baseline")
    if baseline is None:
        raise UserError(
            f"the study has no baseline: say which candidate the others are compared with ({', '.join(candidates)})."
        )
    for name in (baseline, *(content.get("targets") or ())):
        if name not in candidates:
            raise UserError(f"baseline {name} is no candidate; there are {', '.join(candidates)}.")


def _check_numbers(config: StudyConfig) -> None:
    for name, value, least in (("trials", config.trials, 1), ("seeds", config.seeds, 2), ("seed", config.seed, 0)):
        if not isinstance(value, int) or value < least:
            why = ": one run a candidate tells nothing of chance" if name == "seeds" else ""
            raise UserError(f"{name} must be a whole number ≥ {least}, got {value}{why}.")
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads must be ≥ 1 or null, got {config.threads}.")
    for name, given, known in (
        ("mode", config.mode, ("max", "min")),
        ("interval", config.interval, ("t", "bootstrap")),
    ):
        if given not in known:
            raise UserError(f"{name} must be {' or '.join(known)}, got {given}.")
    for candidate in config.names:
        for key, factor in config.search_of(candidate).items():
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor <= 1:
                raise UserError(f"search.{key} must be a factor > 1 around the default, got {factor}.")


def _check_metric(config: StudyConfig) -> None:
    if not config.metric.startswith("val/"):
        raise UserError(
            f"metric must be one of the validation, e.g. val/accuracy, got {config.metric}: "
            "nothing may be chosen on training or test data."
        )
    losses = [name for name in config.names if any(k.startswith("model.loss") for k in config.candidates[name])]
    if losses and config.metric == "val/loss":
        raise UserError(
            f"val/loss is each loss's own value, and {', '.join(losses)} set model.loss: judge losses on a common "
            "metric, e.g. val/accuracy."
        )
