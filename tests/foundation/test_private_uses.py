"""No file outside `foundation/compat` uses a private part of a library, as far as the source and its classes show.

Private is a name with one leading underscore. An object's own names, which its file defines, are not a library's.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelCheckpoint

ROOT = Path(__file__).parents[2]
PACKAGES = ("foundation", "lightning_modules", "datamodules", "callbacks", "descent")
OURS = (*PACKAGES, "cli", "benchmarks")
COMPAT = ROOT / "foundation" / "compat"
FILES = [
    ROOT / "cli.py",
    *(
        path
        for name in (*PACKAGES, "benchmarks")
        for path in sorted((ROOT / name).rglob("*.py"))
        if COMPAT not in path.parents
    ),
]
MODULES = [path for path in FILES if path.relative_to(ROOT).parts[0] in PACKAGES]
DOCUMENTED = {"_asdict", "_fields", "_replace", "_make", "_field_defaults", "_exit"}
"""Names of `collections.namedtuple` and `os` that the documentation of Python lists."""
BY_NAME = ("getattr", "setattr", "hasattr", "delattr")


def is_private(name: object) -> bool:
    return isinstance(name, str) and bool(re.fullmatch(r"_[a-zA-Z]\w*", name)) and name not in DOCUMENTED


def own_names(tree: ast.AST) -> set[str]:
    """Names that the file defines: functions, classes, variables, attributes of `self`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in ("self", "cls")
        ):
            names.add(node.attr)
    return names


@cache
def known_to_compat() -> frozenset[str]:
    """Private names that `foundation/compat` uses: elsewhere they are not allowed in any form, not even as a string."""
    trees = [ast.parse(path.read_text()) for path in COMPAT.glob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return frozenset(name for name in names if is_private(name))


def private_uses(source: str) -> Iterator[str]:
    """Imports, attributes and names in strings that belong to a library, each as `line: text`."""
    tree = ast.parse(source)
    own = own_names(tree)
    for node in ast.walk(tree):
        found: list[object] = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] not in OURS:
            found = [*node.module.split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            found = [part for alias in node.names for part in alias.name.split(".")]
        elif isinstance(node, ast.Attribute):
            ours = node.attr in own or ast.unparse(node.value) in ("self", "cls", "super()")  # see private_overrides
            found = [node.attr] if not ours or node.attr in known_to_compat() - own else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BY_NAME:
            found = [arg.value for arg in node.args[1:2] if isinstance(arg, ast.Constant) and arg.value not in own]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = [node.value] if node.value in known_to_compat() else []
        if any(is_private(name) for name in found):
            yield f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


@cache
def private_names(library: type) -> set[str]:
    """Private names of a class: what it defines, and what its methods use of `self`."""
    try:
        source = inspect.getsource(library)
    except (OSError, TypeError):  # written in C
        source = ""
    names = {*vars(library), *re.findall(r"\bself\.(_\w+)", source)}
    return {name for name in names if is_private(name)}


def private_overrides(module: ModuleType) -> Iterator[str]:
    """Private names of a library's class that a subclass in this module defines, sets or uses."""
    for name, kind in vars(module).items():
        if not inspect.isclass(kind) or kind.__module__ != module.__name__ or issubclass(kind, BaseException):
            continue
        libraries = [
            base for base in kind.__mro__ if base.__module__.split(".")[0] not in (*OURS, "builtins", __name__)
        ]
        libraries = [base for base in libraries if base.__module__ not in ("typing", "enum", "abc", "collections.abc")]
        theirs = {private for base in libraries for private in private_names(base)}
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))
        of_self = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute)]
        used = {n.attr for n in of_self if ast.unparse(n.value) in ("self", "cls", "super()")}
        used |= {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}
        yield from (f"{name}.{private}" for private in sorted(used & theirs))


def test_no_file_uses_a_private_part_of_a_library() -> None:
    found = [f"{path.relative_to(ROOT)}:{use}" for path in FILES for use in private_uses(path.read_text())]
    assert not found, "move these to foundation/compat, each behind a function with a plain name"


def test_no_class_overrides_a_private_method_of_a_library() -> None:
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in MODULES]
    found = [f"{name}: {use}" for name in names for use in private_overrides(importlib.import_module(name))]
    assert not found, "give foundation/compat a base class with a public method for each"


@pytest.mark.parametrize(
    "source",
    [
        "from torch.nn.modules.batchnorm import _BatchNorm",
        "from jsonargparse._loaders_dumpers import yaml_load",
        "import torch._dynamo",
        "trainer.strategy._timeout = 1",
        "getattr(trainer.strategy, '_launcher')",
        "class Own:\n    def set(self, other):\n        self._x = other._y",
        "NAMES = ('base_lrs', '_last_lr')",
        "torch._foreach_norm(gradients)",
    ],
)
def test_a_private_use_is_found(source: str) -> None:
    assert list(private_uses(source))


@pytest.mark.parametrize(
    "source",
    [
        "class Own:\n    def __copy__(self):\n        copy._x = self._x = 1",
        "from foundation.files import _anything",
        "row._asdict()",
        "os._exit(1)",
        "names = {f'{stage}_metrics': 1}",
    ],
)
def test_what_is_our_own_is_allowed(source: str) -> None:
    assert not list(private_uses(source))


class Planted(ModelCheckpoint):
    """Overrides a private method of Lightning."""

    def _find_last_checkpoints(self, trainer: object) -> set[str]:
        return set()


class PlantedModule(LightningModule):
    """Uses a private attribute that Lightning sets in a method."""

    def setup(self, stage: str) -> None:
        assert self._trainer is not None


def test_a_private_override_is_found() -> None:
    found = list(private_overrides(importlib.import_module(__name__)))
    assert found == ["Planted._find_last_checkpoints", "PlantedModule._trainer"]
