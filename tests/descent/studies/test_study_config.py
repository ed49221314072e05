"""A study's config: what gives an error, and how keys are set in configs."""

from pathlib import Path
from typing import Any

import pytest

from descent.studies.config_overlay import load_experiment, look_up, set_key
from descent.studies.study_config import read_study
from foundation.errors import UserError
from tests.descent.studies.synthetic import OPTIMIZERS, study


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": None}, "the study has no baseline: name the candidate to compare the others with"),
        ({"baseline": "Adam"}, "baseline Adam is not a candidate; the candidates are AdamW, SGD, Momentum"),
        ({"targets": ["Adam"]}, "target Adam is not a candidate"),
        (
            {"seeds": 1},
            "seeds must be a whole number ≥ 2, got 1: one run per candidate gives no estimate of the random variation",
        ),
        ({"trials": 0}, "trials must be a whole number ≥ 1, got 0"),
        ({"threads": 0}, "threads must be ≥ 1 or null, got 0"),
        ({"mode": "up"}, "mode must be max or min, got up"),
        ({"interval": "percentile"}, "interval must be t or bootstrap, got percentile"),
        ({"metric": "test/accuracy"}, "metric must be a validation metric, e.g. val/accuracy, got test/accuracy"),
        ({"metric": None}, "the study has no metric: e.g. val/accuracy"),
        ({"candidates": {"SGD": {}}}, "a study needs at least 2 candidates, found 1"),
        ({"candidates": {"A": "x", "AdamW": {}}}, "candidate A must have keys and values, found x"),
        (
            {"candidates": {"A": {"search": [1]}, "AdamW": {}}},
            r"candidate A: search must hold keys and factors, got \[1\]",
        ),
        ({"search": ["a"]}, r"search must be a mapping, got \[a\]"),
        ({"search": 3}, "search must be a mapping, got 3"),
        ({"overrides": {3: 1}}, r"overrides must hold keys such as model\.optimizer\.lr, got 3"),
        ({"smallest_difference": -1}, "smallest_difference must be a number > 0 or null, got -1"),
        ({"smallest_difference": "a b"}, "smallest_difference must be a number or null, got a b"),
        ({"threads": "many"}, "threads must be an integer or null, got many"),
        ({"seed": True}, "seed must be an integer, got true"),
        ({"stop_trials": 3}, "stop_trials must be true or false, got 3"),
        ({"repeats": "two"}, "repeats must be an integer or null, got two"),
        ({"repeats": 0}, "repeats must be a whole number ≥ 1 or null, got 0"),
        ({"tuning": "often"}, "tuning must be rounds or once, got often"),
        ({"trials": None}, "trials must be an integer, got null"),
        ({"seed_keys": 3}, "seed_keys must be a list of texts, got 3"),
        ({"experiment": {"a": 1}}, r"experiment must be a text, got \{a: 1\}"),
        ({"repeats": "None"}, "repeats must be an integer or null, got None"),
        ({"seeds": "4"}, "seeds must be an integer, got 4"),
        ({"metric": [1]}, r"metric must be a text, got \[1\]"),
        ({"name": "../../up"}, r"name must be the name of a folder, got '\.\./\.\./up'"),
        ({"baseline": ["a"]}, r"baseline must be a text, got \[a\]"),
        ({"search": {"model.optimizer.lr": 1}}, r"search.model.optimizer.lr must be a factor > 1 .* got 1"),
        ({"trails": 3}, "unknown key trails in the study: did you mean trials"),
    ],
)
def test_a_mistake_in_a_study_gives_a_one_line_error(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        study(**changes)
    assert "\n" not in str(caught.value)


def test_losses_are_not_compared_by_their_own_values() -> None:
    losses = {"focal": {"model.loss": "losses/focal.yaml"}, "CE": {"model.loss": "losses/cross_entropy.yaml"}}
    with pytest.raises(UserError, match="val/loss is not comparable between losses, and focal, CE set model"):
        study(candidates=losses, baseline="CE", metric="val/loss", mode="min")
    assert study(candidates=losses, baseline="CE").metric == "val/accuracy"


def test_files_that_do_not_exist_or_are_not_valid(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"study not found: nowhere.yaml"):
        read_study("nowhere.yaml")
    with pytest.raises(FileNotFoundError, match=r"config not found: quickstrat.yaml. Did you mean quickstart.yaml"):
        load_experiment("quickstrat.yaml")
    (tmp_path / "s.yaml").write_text("a: [1")
    with pytest.raises(UserError, match=r"s\.yaml, line 1 is not valid YAML"):
        read_study(tmp_path / "s.yaml")
    (tmp_path / "s.yaml").write_text("just words")
    with pytest.raises(UserError, match="is not a study"):
        read_study(tmp_path / "s.yaml")


def test_a_tuned_key_must_be_set_and_positive() -> None:
    with pytest.raises(UserError, match=r"candidate AdamW: search.model.optimizer.lrr is not set;"):
        study(search={"model.optimizer.lrr": 10}).defaults("AdamW")
    with pytest.raises(UserError, match=r"momentum needs a default > 0 to search around, found 0.0"):
        study(search={"model.optimizer.momentum": 10}).defaults("SGD")
    assert study().defaults("SGD") == {"model.optimizer.lr": 0.1}


def test_a_place_is_named_where_a_key_cannot_be_set() -> None:
    with pytest.raises(
        UserError, match=r"overrides: trainer\.max_epochs cannot be set: trainer is 3, which has no keys"
    ):
        study(overrides={"trainer": 3, "trainer.max_epochs": 1}).run_config("SGD")
    with pytest.raises(UserError, match=r"experiment: config not found: some text"):
        study(experiment="some text").run_config("SGD")
    with pytest.raises(UserError, match=r"candidate SGD: config not found: \.\./nosuch\.yaml"):
        study(candidates={"SGD": {"model.loss": "../nosuch.yaml", "model.loss.a": 1}, "AdamW": {}}).run_config("SGD")


def test_nothing_of_the_base_or_another_candidate_leaks_into_a_candidate() -> None:
    config = study(experiment="quickstart.yaml")  # its own optimizer is AdamW
    for name, keys in OPTIMIZERS.items():
        optimizer = look_up(config.run_config(name), "model.optimizer")
        assert optimizer == look_up({"o": keys["model.optimizer"]}, "o")
    assert "betas" not in look_up(config.run_config("SGD"), "model.optimizer.init_args")


def test_keys_are_set_through_presets_and_init_args() -> None:
    config = load_experiment("quickstart.yaml")
    set_key(config, "model.optimizer.lr", 0.5)
    set_key(config, "data.batch_size", 7)
    set_key(config, "trainer.max_epochs", 3)
    set_key(config, "model.scheduler", None)
    assert look_up(config, "model.optimizer.lr") == 0.5
    assert look_up(config, "model.optimizer.weight_decay") == 0.01
    assert config["data"]["init_args"]["batch_size"] == 7
    assert config["data"]["init_args"]["augmentation"]["class_path"] == "datamodules.CropFlip"
    assert config["trainer"]["max_epochs"] == 3
    assert config["model"]["init_args"]["scheduler"] is None


def test_presets_are_found_beside_the_study_and_named_portably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "base.yaml").write_text("model: {optimizer: fast.yaml}\n")
    (folder / "fast.yaml").write_text("class_path: torch.optim.SGD\ninit_args: {lr: 3.0}\n")
    (folder / "study.yaml").write_text(
        "experiment: base.yaml\nbaseline: a\nmetric: val/accuracy\n"
        "candidates: {a: {}, b: {model.optimizer: optimizers/adam.yaml}}\n"
    )
    monkeypatch.chdir(tmp_path)
    config = read_study("mine/study.yaml")
    assert config.experiment == "mine/base.yaml"
    assert config.candidates["b"] == {"model.optimizer": "optimizers/adam.yaml"}
    assert config.defaults("a") == {"model.optimizer.lr": 3.0}
    assert config.defaults("b") == {"model.optimizer.lr": 0.001}
    assert config.run_config("a")["model"]["class_path"] == "lightning_modules.ImageClassifier"


def test_a_shipped_study_opens_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_study("configs/studies/quickstart.yaml")
    assert config.experiment == "quickstart.yaml"
    assert set(config.defaults("SGD")) == {"model.optimizer.lr"}


def test_a_study_reads_numbers_as_a_config_does(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        "experiment: quickstart.yaml\nbaseline: A\nmetric: val/accuracy\nsmallest_difference: 1e-3\n"
        "candidates:\n  A: {}\n  B: {model.optimizer: optimizers/sgd.yaml}\n"
    )
    assert read_study(file).smallest_difference == 0.001
