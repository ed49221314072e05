"""Every shipped preset parses, opens with a comment and a command, and takes nothing over from another preset."""

import inspect
import re
from functools import cache
from itertools import permutations, takewhile
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.strategies import Strategy

from datamodules import Pruning
from datamodules.augmentations.base import Augmentation
from descent.commands.presets import summary
from descent.presets import SHIPPED, names, shipped
from descent.training.parser import Parser
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.optimizers import ParameterGroups

KINDS = {"networks": "network", "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler"}
OTHERS: dict[str, type] = {
    "augmentations": Augmentation,
    "pruning": Pruning,
    "callbacks": Callback,
    "data": LightningDataModule,
    "parameter_groups": ParameterGroups,
    "strategies": Strategy,
}


@cache
def parser(kind: str) -> Parser:
    """Return a parser of one argument of a module; a parser of the whole module takes ten times as long."""

    class Holder:
        def __init__(self, part: Any) -> None: ...

    own = OTHERS.get(kind) or inspect.signature(SupervisedModule).parameters[KINDS[kind]].annotation
    Holder.__init__.__annotations__["part"] = own
    made = Parser(exit_on_error=False)
    made.add_class_arguments(Holder, "holder", sub_configs=True)
    return made


def parsed(kind: str, *presets: str) -> Any:
    """Return the config after these presets were given one after the other."""
    return plain(parser(kind).parse_args([f"--holder.part={shipped(name)}" for name in presets]).holder.part)


def plain(value: Any) -> Any:
    if isinstance(value, Namespace):
        items = {key: plain(item) for key, item in vars(value).items() if key != "__path__"}
        return {key: item for key, item in items.items() if (key, item) != ("init_args", {})}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def presets(kind: str) -> list[str]:
    return [name for name in names() if name.startswith(f"{kind}/")]


@pytest.mark.parametrize("name", names())
def test_opens_with_a_comment_and_a_command(name: str) -> None:
    assert len(summary(name)) > 10, f"{name} does not open with a comment"
    text = (SHIPPED / name).read_text()
    comment = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    assert re.search(r"^#   descent (fit|compare) -c configs/", comment, re.MULTILINE), f"{name} names no command"
    content = yaml.safe_load(text)
    if name.split("/")[0] in KINDS:
        assert set(content) <= {"class_path", "init_args"}


def test_every_kind_is_covered() -> None:
    folders = {name.split("/")[0] for name in names() if "/" in name}
    assert folders == {*KINDS, *OTHERS, "studies"}  # studies have their own format and tests


@pytest.mark.parametrize("name", [name for kind in (*KINDS, *OTHERS) for name in presets(kind)])
def test_parses(name: str) -> None:
    kind = name.split("/")[0]
    written = yaml.safe_load((SHIPPED / name).read_text())
    given = ["--holder.part.root=images"] if name == "data/image_folder.yaml" else []  # required
    found = plain(parser(kind).parse_args([f"--holder.part={shipped(name)}", *given]).holder.part)
    assert found["class_path"].rpartition(".")[2] == written["class_path"].rpartition(".")[2]


@pytest.mark.parametrize("kind", ["optimizers", "schedulers", "losses"])
def test_nothing_is_left_of_the_preset_before(kind: str) -> None:
    alone = {name: parsed(kind, name) for name in presets(kind)}
    assert len(alone) > 4
    for first, second in permutations(alone, 2):
        assert parsed(kind, first, second) == alone[second], f"{second} after {first} is not {second}"
