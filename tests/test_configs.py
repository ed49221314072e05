"""Every shipped preset parses, says what it is, and takes nothing over from the one that it replaces."""

from functools import cache
from itertools import permutations
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace

from commands.list_presets import summary
from commands.parser import Parser
from commands.presets import SHIPPED, names, shipped
from lightning_modules import ImageClassifier

KINDS = {"networks": "network", "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler"}
PARTS = ["--model.network=networks/small_cnn.yaml", "--model.optimizer=optimizers/sgd.yaml"]


@cache
def parser() -> Parser:
    made = Parser(exit_on_error=False)
    made.add_lightning_class_args(ImageClassifier, "model")
    return made


def parsed(*words: str) -> Namespace:
    resolved = []
    for word in (*PARTS, *words):
        key, _, value = word.partition("=")
        resolved.append(f"{key}={shipped(value) or value}")
    config: Namespace = parser().parse_args(resolved)
    return config.model


def part_of(config: Namespace, key: str) -> Any:
    """A part's config without the path of the file that it came from."""
    return plain(config[key])


def plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        items = {key: plain(item) for key, item in vars(value).items() if key != "__path__"}
        return {key: item for key, item in items.items() if (key, item) != ("init_args", {})}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def presets(kind: str) -> list[str]:
    return [name for name in names() if name.startswith(f"{kind}/")]


@pytest.mark.parametrize("name", names())
def test_says_what_it_is(name: str) -> None:
    assert len(summary(name)) > 10, f"{name} does not open with a comment"
    content = yaml.safe_load((SHIPPED / name).read_text())
    if name.split("/")[0] in KINDS:
        assert set(content) <= {"class_path", "init_args"}


@pytest.mark.parametrize("name", [name for kind in KINDS for name in presets(kind)])
def test_parses(name: str) -> None:
    kind = name.split("/")[0]
    written = yaml.safe_load((SHIPPED / name).read_text())
    found = part_of(parsed(f"--model.{KINDS[kind]}={name}"), KINDS[kind])
    assert found["class_path"].rpartition(".")[2] == written["class_path"].rpartition(".")[2]


@pytest.mark.parametrize("kind", ["optimizers", "schedulers", "losses"])
def test_nothing_leaks_from_the_one_before(kind: str) -> None:
    key = KINDS[kind]
    alone = {name: part_of(parsed(f"--model.{key}={name}"), key) for name in presets(kind)}
    assert len(alone) > 4
    for first, second in permutations(alone, 2):
        after = part_of(parsed(f"--model.{key}={first}", f"--model.{key}={second}"), key)
        assert after == alone[second], f"{second} after {first} is not {second}"
