"""Every shipped preset parses, says what it is, and takes nothing over from the one that it replaces."""

import inspect
from functools import cache
from itertools import permutations
from typing import Any

import pytest
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.strategies import Strategy

from datamodules.augmentations.base import Augmentation
from descent.commands.presets import summary
from descent.presets import SHIPPED, names, shipped
from descent.training.parser import Parser
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.optimizers import ParameterGroups

KINDS = {"networks": "network", "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler"}
OTHERS: dict[str, type] = {
    "augmentations": Augmentation,
    "callbacks": Callback,
    "data": LightningDataModule,
    "parameter_groups": ParameterGroups,
    "strategies": Strategy,
}


@cache
def parser(kind: str) -> Parser:
    """A parser of one part alone, typed as the module's argument is: a parser of the whole module takes ten times as long."""

    class Holder:
        def __init__(self, part: Any) -> None: ...

    own = OTHERS.get(kind) or inspect.signature(SupervisedModule).parameters[KINDS[kind]].annotation
    Holder.__init__.__annotations__["part"] = own
    made = Parser(exit_on_error=False)
    made.add_class_arguments(Holder, "holder", sub_configs=True)
    return made


def parsed(kind: str, *presets: str) -> Any:
    """The part's config after these presets were given one after the other."""
    return plain(parser(kind).parse_args([f"--holder.part={shipped(name)}" for name in presets]).holder.part)


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


def test_every_kind_is_parsed() -> None:
    folders = {name.split("/")[0] for name in names() if "/" in name}
    assert folders == {*KINDS, *OTHERS, "studies"}  # studies have a format of their own, and tests of their own


@pytest.mark.parametrize("name", [name for kind in (*KINDS, *OTHERS) for name in presets(kind)])
def test_parses(name: str) -> None:
    kind = name.split("/")[0]
    written = yaml.safe_load((SHIPPED / name).read_text())
    given = ["--holder.part.root=images"] if name == "data/image_folder.yaml" else []  # the user's own, and required
    found = plain(parser(kind).parse_args([f"--holder.part={shipped(name)}", *given]).holder.part)
    assert found["class_path"].rpartition(".")[2] == written["class_path"].rpartition(".")[2]


@pytest.mark.parametrize("kind", ["optimizers", "schedulers", "losses"])
def test_nothing_leaks_from_the_one_before(kind: str) -> None:
    alone = {name: parsed(kind, name) for name in presets(kind)}
    assert len(alone) > 4
    for first, second in permutations(alone, 2):
        assert parsed(kind, first, second) == alone[second], f"{second} after {first} is not {second}"
