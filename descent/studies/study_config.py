"""The config of a study: candidates, metric, search range, trials and seeds; read and checked before anything runs."""

import math
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_origin, get_type_hints

from descent import presets
from descent.config_errors.given import Given, shorten
from descent.config_errors.types import fits, in_words, members
from descent.studies.config_overlay import Config, absolute, load_experiment, look_up, map_paths, read_mapping, set_key
from foundation.errors import UserError
from foundation.metrics.direction import direction_for
from foundation.metrics.names import canonical
from foundation.suggestions import did_you_mean


@dataclass(frozen=True)
class StudyConfig:
    """The config of a study.

    Args:
        name: Name of the study and of its folder.
        experiment: The common base: a run's config, with network and data.
        candidates: Per candidate, the keys that it sets in the base, e.g.
            `{"SGD": {"model.optimizer": "optimizers/sgd.yaml"}}`; its own `search` replaces the study's.
        baseline: The candidate that the others are compared with; there is no default.
        targets: Candidates whose median final score is the target of steps-to-target and seconds-to-target; by default
            the baseline.
        overrides: Keys set for all candidates.
        metric: The validation metric by which candidates are tuned and judged, e.g. `val/accuracy`.
        mode: `max` if the metric should be large, `min` if it should be small; by default what is known of the metric.
        search: Tuned keys, each with a factor f > 1: the range is default/f to default·f, log-uniform.
        trials: Tuning trials per candidate, ≥ 1; with 1 the defaults are used.
        seeds: The largest number of rounds, ≥ 2. Each has new seeds, the same for all candidates, and another
            validation split; a candidate stops when it is decided against all others.
        tuning: `rounds`: every round has a tuning of its own, so that the verdict is about the candidates with this
            budget of tuning; `once`: one tuning for all rounds, and the verdict is about the settings that it chose.
        stop_trials: Whether a tuning trial is stopped after half of its validations if it is far behind an earlier
            trial of the same tuning (`running/early_stop.py`).
        repeats: Final runs per round and candidate, ≥ 1; by default 2 if rounds are tuned, which tells the variation of
            training from that of tuning, else 1.
        split_key: Key of the validation split's seed; by default `data.split_seed` if the data has it. With an empty
            text the split stays the same.
        seed: Base of all seeds, ≥ 0; change it to repeat the study with other weights and batches.
        seed_keys: Keys that get the run's seed, e.g. `data.data_seed` to draw new data for each final run, the same for
            all candidates.
        threads: Number of torch threads in each run; `null` leaves torch's setting.
        smallest_difference: Difference that the study must be able to detect, in the metric's unit; if it is not, the
            study stops after the pilot with an error.
        interval: `t`, or `bootstrap` (bootstrap-t) for skewed metrics.
    """

    name: str
    experiment: str
    candidates: dict[str, Config]
    baseline: str
    metric: str
    targets: tuple[str, ...] = ()
    overrides: Config = field(default_factory=dict)
    mode: str | None = None
    search: dict[str, float] = field(default_factory=lambda: {"model.optimizer.lr": 10.0})
    trials: int = 5
    seeds: int = 8
    tuning: str = "rounds"
    stop_trials: bool = True
    repeats: int | None = None
    split_key: str | None = None
    seed: int = 0
    seed_keys: tuple[str, ...] = ()
    threads: int | None = 1
    smallest_difference: float | None = None
    interval: str = "t"

    @property
    def larger_is_better(self) -> bool:
        """Whether the metric should be large."""
        return self.mode == "max"

    @property
    def names(self) -> list[str]:
        """Names of the candidates, in the given order."""
        return list(self.candidates)

    @property
    def tuned_in_rounds(self) -> bool:
        """Whether every round has a tuning of its own."""
        return self.tuning == "rounds" and self.trials > 1 and any(self.search_of(name) for name in self.names)

    @property
    def final_runs(self) -> int:
        """Final runs per round and candidate."""
        return self.repeats or (2 if self.tuned_in_rounds else 1)

    def tuning_of(self, number: int) -> int:
        """Return the number of the tuning that a round takes its values from."""
        return number if self.tuned_in_rounds else 0

    def search_of(self, candidate: str) -> dict[str, float]:
        """Return the tuned keys of a candidate with their factors."""
        own = self.candidates[candidate].get("search")
        return dict(self.search if own is None else own)

    def run_config(self, candidate: str) -> Config:
        """Return the complete config of a candidate's run, with its own default values."""
        try:
            config = load_experiment(self.experiment)
        except (UserError, FileNotFoundError) as error:
            raise UserError(f"experiment: {error}") from error
        own = {key: value for key, value in self.candidates[candidate].items() if key != "search"}
        for place, changes in (("overrides", self.overrides), (f"candidate {candidate}", own)):
            for key, value in changes.items():
                try:
                    set_key(config, key, absolute(value, Path.cwd()))
                except (UserError, FileNotFoundError) as error:
                    raise UserError(f"{place}: {error}") from error
        return config

    def defaults(self, candidate: str) -> dict[str, float]:
        """Return the candidate's own values of the tuned keys.

        Raises:
            UserError: A tuned key is not set, or its value is not a positive number.
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
        """Return the config as JSON values; a study can be continued only if they are unchanged."""
        return {**asdict(self), "targets": list(self.targets), "seed_keys": list(self.seed_keys)}


KEYS = tuple(entry.name for entry in fields(StudyConfig))


def read_study(source: "str | Path | Config", **changes: Any) -> StudyConfig:
    """Read a study from a YAML file (a path or the name of a preset) or a mapping.

    Args:
        source: The file or the mapping.
        **changes: Values that replace keys of the study.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: A key is missing, unknown, of another type or out of range.
    """
    if isinstance(source, dict):
        return _check({"name": "study", **source, **changes}, Path.cwd())
    path = Path(presets.resolve(str(source)))
    if not path.is_file():
        raise FileNotFoundError(f"study not found: {source}.{presets.nearest(str(source))}")
    content = read_mapping(path, "is not a study: it needs the keys experiment, candidates, baseline and metric.")
    return _check({"name": path.stem, **content, **changes}, path.resolve().parent)


def _check(content: Config, folder: Path) -> StudyConfig:
    for key in content:
        if key in ("model", "trainer", "data") and "candidates" not in content:
            raise UserError(
                f"the file is the config of a run, not a study: it has {key} and no candidates. `descent fit` runs it; "
                "a study names it as its experiment (`descent presets studies` lists examples)."
            )
        if key not in KEYS:
            hint = did_you_mean(key, KEYS, f"the keys of a study are {', '.join(KEYS)}.")
            raise UserError(f"unknown key {key} in the study: {hint}")
    _check_types(content)
    _check_candidates(content)
    for key in ("experiment", "metric"):
        if not content.get(key):
            what = "the config of a run, e.g. quickstart.yaml" if key == "experiment" else "e.g. val/accuracy"
            raise UserError(f"the study has no {key}: {what}.")
    content = {**content, "targets": tuple(content.get("targets") or (content["baseline"],))}
    content["seed_keys"] = tuple(content.get("seed_keys") or ())
    config = StudyConfig(**portable(content, folder))
    _check_numbers(config)
    _check_metric(config)
    return replace(config, mode=direction_for("The study", config.metric, config.mode))


def _check_types(content: Config) -> None:
    """Check that every value is of its key's type; what is missing or empty is told by the other checks."""
    kinds = get_type_hints(StudyConfig)
    may_be_empty = ("candidates", "baseline", "experiment", "metric", "targets", "seed_keys")
    for key, value in content.items():
        if (key == "candidates" or value is None) and key in may_be_empty:
            continue
        if not _is_of(value, kinds[key]):
            raise UserError(f"{key} must be {in_words(kinds[key])}, got {shorten(value)}.")
    _check_name(content["name"])
    for key in ("overrides", "search"):
        if wrong := [name for name in content.get(key, ()) if not isinstance(name, str) or not name]:
            raise UserError(f"{key} must hold keys such as model.optimizer.lr, got {shorten(wrong[0])}.")


def _is_of(value: Any, kind: Any) -> bool:
    if get_origin(kind) is tuple:
        return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    if get_origin(kind) is dict:  # jsonargparse would read the dots of its keys
        return isinstance(value, dict)
    if isinstance(value, str) and not any(member is str or get_origin(member) is Literal for member in members(kind)):
        return False  # jsonargparse reads a number in it, but the text would stay
    return fits(Given.of(value), kind)


def _check_name(name: str) -> None:
    """Check that a study's folder lies inside `runs/studies`."""
    if not name.strip() or not name.isprintable() or ".." in Path(name).parts or Path(name).is_absolute():
        raise UserError(f"name must be the name of a folder, got {name!r}.")


def portable(value: Any, folder: Path) -> Any:
    """Replace the paths of presets by paths that do not depend on the study's folder.

    A shipped preset gets its short name, another file its path relative to the working folder.

    Args:
        value: A value of a study.
        folder: The folder from which its relative paths start.
    """

    def make_portable(path: str) -> str:
        found = Path(presets.resolve(path, folder)).resolve()
        if found.is_relative_to(presets.SHIPPED):
            return found.relative_to(presets.SHIPPED).as_posix()
        return os.path.relpath(found) if found.is_file() else path

    return map_paths(value, make_portable)


def _check_candidates(content: Config) -> None:
    candidates = content.get("candidates")
    if not isinstance(candidates, dict) or len(candidates) < 2:
        found = len(candidates) if isinstance(candidates, dict) else 0
        raise UserError(
            f"a study needs at least 2 candidates, found {found}: give each a name and the keys that it sets, e.g. "
            "candidates: {SGD: {model.optimizer: optimizers/sgd.yaml}, Adam: {model.optimizer: optimizers/adam.yaml}}."
        )
    for name, keys in candidates.items():
        if not isinstance(keys, dict):
            raise UserError(f"candidate {name} must have keys and values, found {shorten(keys)}.")
        if "search" in keys and not isinstance(keys["search"], dict):
            raise UserError(f"candidate {name}: search must hold keys and factors, got {shorten(keys['search'])}.")
    baseline = content.get("baseline")
    if baseline is None:
        raise UserError(
            f"the study has no baseline: name the candidate to compare the others with ({', '.join(candidates)})."
        )
    for key, name in [("baseline", baseline), *(("target", target) for target in content.get("targets") or ())]:
        if name not in candidates:
            raise UserError(f"{key} {name} is not a candidate; the candidates are {', '.join(candidates)}.")


def _check_numbers(config: StudyConfig) -> None:
    for name, value, least in (("trials", config.trials, 1), ("seeds", config.seeds, 2), ("seed", config.seed, 0)):
        if value < least:
            why = ": one run per candidate gives no estimate of the random variation" if name == "seeds" else ""
            raise UserError(f"{name} must be a whole number ≥ {least}, got {value}{why}.")
    if config.repeats is not None and config.repeats < 1:
        raise UserError(f"repeats must be a whole number ≥ 1 or null, got {config.repeats}.")
    if (delta := config.smallest_difference) is not None and not 0 < delta < math.inf:
        raise UserError(f"smallest_difference must be a number > 0 or null, got {delta}.")
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads must be ≥ 1 or null, got {config.threads}.")
    for name, given, known in (
        ("mode", config.mode or "max", ("max", "min")),
        ("interval", config.interval, ("t", "bootstrap")),
        ("tuning", config.tuning, ("rounds", "once")),
    ):
        if given not in known:
            raise UserError(f"{name} must be {' or '.join(known)}, got {given}.")
    for candidate in config.names:
        for key, factor in config.search_of(candidate).items():
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor <= 1:
                raise UserError(f"search.{key} must be a factor > 1 around the default, got {factor}.")


def _check_metric(config: StudyConfig) -> None:
    if not canonical(config.metric).startswith("val/"):
        raise UserError(
            f"metric must be a validation metric, e.g. val/accuracy, got {config.metric}: "
            "training and test data must not influence the choice."
        )
    losses = [name for name in config.names if any(k.startswith("model.loss") for k in config.candidates[name])]
    if losses and canonical(config.metric) == "val/loss":
        raise UserError(
            f"{config.metric} is not comparable between losses, and {', '.join(losses)} set model.loss: choose a "
            "metric that does not depend on the loss, e.g. val/accuracy."
        )
