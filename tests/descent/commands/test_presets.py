"""`descent presets`: the presets of each kind, with descriptions that fit the terminal."""

import re
import sys

import pytest

from descent.commands.presets import grouped, main, summary
from descent.presets import kinds, names


def presets_in(said: str) -> list[str]:
    return re.findall(r"^  (\S+)", said, re.MULTILINE)


def test_every_preset_stands_below_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    said = capsys.readouterr().out
    assert sorted(presets_in(said)) == names()
    assert [line for line in said.splitlines() if line and not line.startswith(" ")] == ["experiments", *kinds()]
    main(["schedulers"])
    assert all(name.startswith("schedulers/") for name in presets_in(capsys.readouterr().out))


def test_presets_of_a_kind_have_descriptions_that_differ() -> None:
    said = [(name.rpartition("/")[0], summary(name)) for name in names()]
    assert [each for each in said if said.count(each) > 1] == []


@pytest.mark.parametrize("terminal", [True, False])
def test_the_list_ends_with_how_to_use_it_on_a_terminal(
    terminal: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("COLUMNS", "60")
    main([])
    said = capsys.readouterr().out
    assert ("descent fit -c" in said.replace("\n", " ")) == terminal
    assert not terminal or max(map(len, said.splitlines())) <= 60


@pytest.mark.parametrize("width", [60, 100, 160])
def test_lines_fit_the_terminal_and_nothing_is_cut(width: int) -> None:
    described = {name: summary(name) for name in names()}
    said = grouped(described, width)
    assert max(map(len, said.splitlines())) <= width
    assert sorted(presets_in(said)) == names()
    assert "…\n" not in said
    words = [word for text in described.values() for word in text.split()]
    assert len(said.split()) == len(words) + len(names()) + len(kinds()) + 1
