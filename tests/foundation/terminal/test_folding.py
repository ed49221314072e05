"""Lines fit the terminal: at 60, 100 and 160 columns, with the words that they had."""

import importlib
import io
import logging
import os
import shutil
from typing import Any

import pytest

from descent.commands.compare import run_of_plan
from descent.commands.inspect import table_of_layers
from descent.commands.table import LIGHT
from descent.commands.verify_resume import report
from descent.training.help import HELP, USAGE
from foundation.terminal.folding import fitted, folded, reflowed
from foundation.terminal.log_lines import fit_lines

WIDTHS = (60, 100, 160)
HELP_TEXTS = {"descent": USAGE} | HELP | {name: importlib.import_module(file).USAGE for name, file in LIGHT.items()}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=WIDTHS)
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((request.param, 24)))
    return int(request.param)


@pytest.mark.parametrize("line", [
    "metrics     grad_norm/clipped 0.999999, grad_norm/total 1.4162, lr 7.59242e-07, val/accuracy 0.903448, val/loss nan",
    "    indented text goes on below its first word, however long the sentence becomes, and no word of it is ever lost",
    "Other programs use this machine (load 4.6, 2 cores): threads sleep while they wait for each other.",
])  # fmt: skip
def test_a_line_goes_on_below_its_text(line: str, width: int) -> None:
    first, *others = folded(line, width).split("\n")
    column = {"m": 12, " ": 4, "O": 0}[line[0]]
    assert max(map(len, [first, *others])) <= width
    assert [*first.split(), *(word for other in others for word in other.split())] == line.split()
    for other in others:
        assert len(other) - len(other.lstrip()) == column
        assert not other.lstrip().startswith("nan"), "a number stays with its name"


def test_a_path_is_not_broken_and_stays_beside_its_title() -> None:
    path = f"/{'long' * 30}/file"
    assert folded(f"page        {path}", 60) == f"page        {path}"
    assert folded(f"page        {path}, 12 bytes", 60).split("\n") == [f"page        {path},", f"{'':12}12 bytes"]


def test_a_list_of_numbers_is_broken_between_them() -> None:
    line = f"15 steps       {', '.join(['0.00579: 1.008'] * 9)} (held-out loss)"
    assert max(map(len, folded(line, 60).split("\n"))) <= 60
    assert folded(line, 60).split("\n")[0].endswith("1.008,")


@pytest.mark.parametrize("name", HELP_TEXTS)
def test_every_help_text_fits(name: str, width: int) -> None:
    said = reflowed(HELP_TEXTS[name], width)
    assert all(len(line) <= width or len(line.split()) == 1 for line in said.split("\n"))
    assert said.split() == HELP_TEXTS[name].split()


def test_reports_of_commands_fit(width: int) -> None:
    found = {"weights": [], "data (DigitsDataModule)": [f"samples.position: {'other words ' * 8}"]}
    said = report(
        6, 40, found, ["the data module MyDataModule has no state_dict, so that a resume starts its epoch anew"]
    )
    lines = [*said, run_of_plan(["-c", "configs/studies/losses_outliers.yaml", "--plan", "--budget", "20m"])]
    assert max(map(len, lines)) > 100
    assert max(map(len, fitted("\n".join(lines), Terminal()).split("\n"))) <= width
    layers = [(f"network.features.{number}.num_batches_tracked", "(128, 64, 3, 3) int64") for number in range(3)]
    assert max(map(len, table_of_layers(layers, width))) <= width
    assert " ".join(table_of_layers(layers, width)).split() == " ".join(map(" ".join, layers)).split()


def test_only_a_terminal_has_a_width(width: int) -> None:
    line = "word " * 60
    assert fitted(line, io.StringIO()) == line
    assert max(map(len, fitted(line, Terminal()).split("\n"))) <= width


def test_logged_lines_are_folded_to_the_stream_of_the_moment(width: int) -> None:
    logger, file, terminal = logging.Logger("x"), io.StringIO(), Terminal()
    handler: logging.StreamHandler[Any] = logging.StreamHandler(file)
    logger.addHandler(handler)
    fit_lines([handler])
    fit_lines([handler])
    logger.warning("word " * 60)
    handler.setStream(terminal)
    logger.warning("word " * 60)
    assert len(file.getvalue().splitlines()) == 1
    assert max(map(len, terminal.getvalue().splitlines())) <= width
