"""A misspelt option of a command is taken for the nearest option, not for a key of the run's config."""

import string

import pytest

from descent.commands.parser import CommandParser
from descent.commands.predict import USAGE


def parser() -> CommandParser:
    made = CommandParser("predict", USAGE)
    made.add_checkpoint()
    made.add_argument("--images")
    return made


@pytest.mark.parametrize("place", range(2, len("--images")))
def test_each_wrong_letter_gets_the_option_back(place: int, capsys: pytest.CaptureFixture[str]) -> None:
    for letter in set(string.ascii_lowercase) - {"--images"[place]}:
        word = f"{'--images'[:place]}{letter}{'--images'[place + 1 :]}"
        with pytest.raises(SystemExit):
            parser().parse_with_overrides(["--ckpt_path=run", word])
        assert f"unknown argument {word}. Did you mean --images?" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["--tagret", "--experimnt", "--seed_everythng"])
def test_what_is_nearer_to_a_key_is_left_to_the_config(key: str) -> None:
    assert parser().parse_with_overrides(["--ckpt_path=run", f"{key}=1"])[1] == [f"{key}=1"]
