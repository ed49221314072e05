"""A config whose callbacks have arguments that YAML cannot hold is saved so that it can be run again."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from descent.runs.config_text import config_text
from descent.training.build import config_parser

QUICKSTART = Path(__file__).parents[3] / "configs" / "quickstart.yaml"


def parsed(*words: str) -> Any:
    return config_parser("fit").parse_args(["--config", str(QUICKSTART), *words])


@pytest.mark.parametrize(
    ("words", "argument", "value"),
    [
        (["StochasticWeightAveraging", "--trainer.callbacks.swa_lrs=0.01"], "device", "cpu"),
        (["Timer", "--trainer.callbacks.duration=00:01:00:00"], "interval", "step"),
        (["ModelPruning", "--trainer.callbacks.pruning_fn=l1_unstructured"], "pruning_fn", "l1_unstructured"),
    ],
)
def test_defaults_that_are_objects(words: list[str], argument: str, value: str) -> None:
    config = parsed(f"--trainer.callbacks+={words[0]}", *words[1:])
    text, sentences = config_text(config_parser("fit"), config)
    assert sentences == []
    assert yaml.safe_load(text)["trainer"]["callbacks"][0]["init_args"][argument] == value
    assert config_parser("fit").parse_args(["--config", text]).trainer.callbacks[0].class_path.endswith(words[0])


def test_an_object_that_yaml_cannot_hold() -> None:
    config = parsed("--trainer.callbacks+=EMAWeightAveraging")
    config.trainer.callbacks[0].init_args.multi_avg_fn = type("Average", (), {"__call__": lambda self: None})()
    text, sentences = config_text(config_parser("fit"), config)
    assert sentences == [
        "trainer.callbacks.0.init_args.multi_avg_fn is a Average, which YAML cannot hold: config.yaml has null."
    ]
    assert yaml.safe_load(text)["trainer"]["callbacks"][0]["init_args"]["multi_avg_fn"] is None


def test_a_text_that_the_parser_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    config = parsed("--trainer.callbacks+=Timer")
    parser = config_parser("fit")

    def refuse(text: str) -> None:
        raise ValueError("no such key")

    monkeypatch.setattr(parser, "parse_string", refuse)
    _, sentences = config_text(parser, config)
    assert sentences == ["The saved config cannot be run again as it is: no such key"]
