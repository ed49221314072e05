"""jsonargparse still words its errors as `foundation.compat.jsonargparse_messages` knows them."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from foundation.compat import jsonargparse_messages as said


class Base:
    """A class with an argument that has a bound."""

    def __init__(self, size: int = 1) -> None:
        if size < 0:
            raise ValueError(f"size must be ≥ 0, got {size}.")


class Child(Base):
    """A class with an argument that it needs."""

    def __init__(self, needed: int, flag: bool = False) -> None:
        super().__init__()


HERE = Base.__module__


def parser() -> ArgumentParser:
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("--config", action="config")
    made.add_argument("--number", type=int)
    made.add_argument("--mode", type=Literal["a", "b"], default="a")
    made.add_argument("--part", type=Base)
    made.add_argument("--maybe", type=Base | None)
    made.add_argument("--made", type=Callable[[int], Base])
    return made


def message(*words: str) -> str:
    with pytest.raises(ArgumentError) as error:
        parser().parse_args(list(words))
    return str(error.value)


@pytest.mark.parametrize(
    ("words", "pattern", "groups"),
    [
        (["--rat", "1"], said.UNRECOGNIZED, ("--rat 1",)),
        (["--maybe", f"{HERE}.Child", "--maybe.rat", "1"], said.NOT_ACCEPTED, ("rat",)),
        (["--maybe", f"{HERE}.Child", "--maybe.rat", "1"], said.CLASS_PATH, (f"{HERE}.Child",)),
        (["--maybe", f"{HERE}.Child"], said.REQUIRED, ("needed",)),
        (["--maybe", f"{HERE}.Child"], said.CLASS_PATH_OF_NAMESPACE, (f"{HERE}.Child",)),
        (["--maybe", "torch.nothing"], said.NO_ATTRIBUTE, ("torch", "nothing")),
        (["--maybe", "no_module.Thing"], said.NO_MODULE, ("no_module",)),
        (["--part", "torch.optim.SGD"], said.NOT_A_SUBCLASS, None),
        (["--maybe", "nothing"], said.NOT_AN_IMPORT_PATH, ("nothing",)),
        (["--mode", "c"], said.NOT_A_CHOICE, ("'a', 'b'",)),
        (["--number", "many"], said.NOT_OF_TYPE, ()),
        (["--number", "many"], said.EXPECTED_TYPE, ("int",)),
        (["--number", "many"], said.KEY, ("number",)),
        (["--maybe", "nothing"], said.GIVEN_VALUE, ("nothing",)),
        (["--maybe", "nothing"], said.ERRORS_OF_SUBTYPES, None),
    ],
)
def test_a_mistake_is_worded_as_known(words: list[str], pattern: str, groups: tuple[str, ...] | None) -> None:
    text = message(*words)
    found = re.search(pattern, text)
    assert found, f"jsonargparse now says:\n{text}"
    assert groups is None or found.groups() == groups


def test_invalid_yaml_is_worded_as_known(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("a: [1\nb: 2")
    assert re.search(said.INVALID_YAML, message("--config", str(tmp_path / "bad.yaml")))


def test_an_option_that_a_subcommand_lacks_is_worded_as_known(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("fit:\n  rat: 1\n")
    top = ArgumentParser(exit_on_error=False)
    top.add_argument("--config", action="config")
    top.add_subcommands().add_subcommand("fit", parser())
    with pytest.raises(ArgumentError) as error:
        top.parse_args(["--config", str(tmp_path / "config.yaml"), "fit"])
    assert re.search(said.OPTION_NOT_ACCEPTED, str(error.value)), f"jsonargparse now says:\n{error.value}"


def test_only_what_a_constructor_said_is_no_prose() -> None:
    text = message("--maybe", f"{HERE}.Child", "--maybe.needed", "x")
    inside = re.search(said.ERRORS_OF_SUBTYPES, text)
    assert inside, f"jsonargparse now says:\n{text}"
    lines = [line for line in inside[1].splitlines() if not re.search(said.PROSE_OF_UNION, line)]
    assert lines == [], f"jsonargparse has new prose: {lines}"
    one_line = " ".join(message("--maybe", f"{HERE}.Child", "--maybe.rat", "1").split())
    assert re.search(said.FIRST_ERROR_OF_UNION, one_line)
