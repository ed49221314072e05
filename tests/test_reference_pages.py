"""The reference of commands and presets: everything that there is stands in it, and nothing is lost on the way."""

import re

import pytest

from descent.commands.parser import options_in
from descent.commands.table import commands
from descent.presets import names
from descent.training.help import COMMON
from docs.reference_pages import commands_page, presets_page


def test_every_command_is_described() -> None:
    page = commands_page()
    for command in commands():
        assert f"\n## descent {command}\n" in page


@pytest.mark.parametrize("option", options_in(COMMON))
def test_a_common_option_stands_once(option: str) -> None:
    assert len(re.findall(rf"^\| `{re.escape(option)}\b", commands_page(), re.MULTILINE)) <= 1
    assert option in commands_page()


def test_a_table_has_the_meaning_of_each_option() -> None:
    rows = re.findall(r"^\| `(-.*?)` \| (.*) \|$", commands_page(), re.MULTILINE)
    assert len(rows) > 50
    assert [option for option, meaning in rows if len(meaning) < 5] == []


def test_every_preset_is_described() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| (.+?) \| (.+?) \|$", presets_page(), re.MULTILINE)
    assert sorted(name for name, *_ in rows) == sorted(name.rpartition("/")[2] for name in names())
    assert [name for name, text, _ in rows if len(text) < 10] == []
