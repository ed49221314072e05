"""Notebooks: cells, answers and commands in the text work; the committed files match the scripts and their outputs."""

import re
import shlex
from pathlib import Path
from typing import Any

import nbformat
import pytest

from cli import main
from descent.commands.parser import CommandParser
from descent.commands.table import LIGHT
from notebooks.build import HERE, INSTALL, cells, notebook, scripts, small, with_outputs_of

NOTEBOOKS = scripts()
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|usr|opt|Users|mnt)/")
NEED_NO_ARGUMENT = ("guide", "presets")


def markdown(script: Path) -> str:
    return "\n\n".join(text for kind, text in cells(script) if kind == "markdown")


def answers(script: Path) -> list[str]:
    """Return the code in the hidden answers."""
    hidden = re.findall(r"<details><summary>Answer</summary>(.*?)</details>", markdown(script), re.DOTALL)
    return [code for text in hidden for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


def commands(script: Path) -> list[str]:
    """Return the commands that the text gives, as lines of code or within a sentence."""
    found = re.findall(r"^    descent (.*)$|`descent\s([^`]*)`", markdown(script), re.MULTILINE)
    return [" ".join((line or inline).split()) for line, inline in found]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    monkeypatch.setenv("DESCENT_ALLOCATOR", "system")
    monkeypatch.setenv("MPLBACKEND", "agg")


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_the_cells_and_the_answers_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for text in [*(text for kind, text in cells(script) if kind == "code"), *answers(script)]:
        exec(compile(small(text), script.name, "exec"), names)
    names["plt"].close("all") if "plt" in names else None
    said = capsys.readouterr().out
    if script.stem.startswith("08"):
        assert re.search(r"(\d+) of \1 tensors are identical", said)
    if script.stem.startswith("07"):
        assert re.search(r"(?i)dead", said)


COMMANDS = sorted({command for script in NOTEBOOKS for command in commands(script)})


class _ParsedError(Exception):
    """The arguments are valid; what follows is not run."""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_text_is_valid(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = shlex.split(command)
    assert words or name in NEED_NO_ARGUMENT, "a name alone prints the help"
    for config in re.findall(r"(?:^|[ =])(configs/\S+\.yaml)", command):
        assert (HERE.parent / config).is_file()
    if name == "fit" and "--ckpt_path" in words:
        main(["fit", "-c", "configs/quickstart.yaml", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"])
        main([name, *words, "--trainer.max_epochs=1"])
    elif name.replace("-", "_") in LIGHT or name == "predict":
        parse = CommandParser.parse_known_args

        def parse_only(self: CommandParser, *args: Any) -> Any:
            options, rest = parse(self, *args)
            if getattr(options, "ckpt_path", "") is None:
                self.error("no --ckpt_path")
            raise _ParsedError(rest)

        monkeypatch.setattr(CommandParser, "parse_known_args", parse_only)
        with pytest.raises(_ParsedError):
            main([name, *words])
    else:
        with pytest.raises(SystemExit) as ended:
            main([name, *words, "--print_config"])
        assert ended.value.code == 0


def test_the_text_gives_commands() -> None:
    assert len(COMMANDS) >= 10


def test_what_the_commands_test_finds(tmp_path: Path) -> None:
    script = tmp_path / "01_x.py"
    script.write_text("# %% [markdown]\n# `descent fit -c a.yaml\n# --data.root F`, and\n#\n#     descent guide\n")
    assert commands(script) == ["fit -c a.yaml --data.root F", "guide"]


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_it_is_a_lesson(script: Path) -> None:
    text = markdown(script)
    assert "**You will learn**" in text
    assert "**Time:**" in text
    questions = [int(number) for number in re.findall(r"\*\*Question (\d+)\.\*\*", text)]
    assert questions == list(range(1, len(questions) + 1))
    assert questions
    assert text.count("**Explanation.**") >= len(questions) - 1
    assert text.count("<details><summary>Answer</summary>") == text.count("</details>") >= 2
    shown = re.sub(r"# <details>.*?# </details>\n", "", script.read_text(), flags=re.DOTALL)
    assert len(shown.splitlines()) <= 155
    assert not re.search(r"\b(TODO|EXPLAIN)\b", text)
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (HERE / link).exists(), link


def test_the_first_code_cell_installs_where_descent_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    made = TransformerManager().transform_cell(INSTALL)
    installed: list[str] = []
    shell = type("Shell", (), {"run_line_magic": lambda self, name, line: installed.append(line)})()
    exec(made, {"get_ipython": lambda: shell})
    assert installed == []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    exec(made, {"get_ipython": lambda: shell})
    assert installed == ["install --quiet .."]
    first = next(cell for cell in notebook(NOTEBOOKS[0])["cells"] if cell["cell_type"] == "code")
    assert first["source"] == INSTALL


def test_outputs_are_kept_only_for_the_same_code() -> None:
    made, earlier = notebook(NOTEBOOKS[0]), notebook(NOTEBOOKS[0])
    earlier["cells"][3]["outputs"] = ["shown"]
    earlier["cells"][0]["source"] = "another text"
    assert with_outputs_of(made, earlier)["cells"][3]["outputs"] == ["shown"]
    earlier["cells"][3]["source"] += "\nmore = 1"
    with pytest.raises(ValueError, match="code has changed"):
        with_outputs_of(made, earlier)


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_the_committed_notebook_matches_its_script(script: Path) -> None:
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(committed)
    assert [cell["source"] for cell in committed["cells"]] == [cell["source"] for cell in notebook(script)["cells"]]
    code = [cell for cell in committed["cells"] if cell["cell_type"] == "code"]
    assert any(cell["outputs"] for cell in code)
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    shown = [{**output.get("data", {}), "text": output.get("text", "")} for cell in code for output in cell["outputs"]]
    texts = [str(text) for output in shown for kind, text in output.items() if not kind.startswith("image/")]
    assert not MACHINE_PATH.findall(" ".join(texts))
    assert not stale_numbers(markdown(script), " ".join(texts) + " ".join(cell["source"] for cell in code))


def stale_numbers(text: str, shown: str) -> list[str]:
    """Return the decimals and percentages of the explanations that neither the outputs, the code nor a formula has."""
    explanations = [part for part in text.split("\n\n") if part.startswith("**Explanation.**")]
    plain = [re.sub(r"\$[^$]*\$", "", part) for part in explanations]
    numbers = [number for part in plain for number in re.findall(r"\d+\.\d+|\d+(?= %)", part)]
    known = {float(number.replace(",", "")) for number in re.findall(r"\d[\d,]*\.?\d*", shown)}
    rest = [part for part in text.split("\n\n") if part not in explanations]
    known |= {float(number) for number in re.findall(r"\d+\.?\d*", " ".join(rest).replace(",", ""))}
    known |= {100 * value for value in known if value <= 1}  # 0.973 may be called 97.3 %
    places = [(number, len(number.partition(".")[2])) for number in numbers]
    return [number for number, digits in places if float(number) not in {round(value, digits) for value in known}]


def test_what_counts_as_a_stale_number() -> None:
    text = "Guess 90 %.\n\n**Explanation.** It has 97.3 %, more than 90 % and $x = 0.25$; the loss is 0.12.\n\nEnd."
    assert stale_numbers(text, "accuracy 97.3%\n loss 0.1234") == []
    assert stale_numbers(text, "accuracy 0.9731\n loss 0.1234") == []
    assert stale_numbers(text, "accuracy 97.4%\n loss 0.1334") == ["97.3", "0.12"]
