"""What all commands share: help that fits a screen, plain text in a pipe, one-line errors, JSON output."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from cli import main
from descent.commands.table import LIGHT, TRAINING, commands
from descent.presets import kinds, names

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "command",
    ["", *commands(), "show schedule", "show losses", "show optimizers", "show schedulers"],
)
def test_help_fits_a_screen(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with suppress(SystemExit):
        main([*command.split(), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert 3 < len(lines) <= 50
    assert max(map(len, lines)) <= 100, max(lines, key=len)


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert sorted(listed) == commands()
    assert {name.replace("_", "-") for name in (*TRAINING, *LIGHT)} - {"show-schedule"} == set(listed)


def run_in_a_pipe(words: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | environment
    return subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, cwd=folder, env=env)


def test_errors_in_a_pipe_go_to_standard_error_without_colours(tmp_path: Path) -> None:
    """The output of a run in a pipe: `tests/descent/training/test_fit.py`."""
    wrong = run_in_a_pipe(["presets", "loses"], tmp_path)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == (
        f"error: no presets of the kind loses: there are {', '.join(kinds())}. Did you mean losses? (descent presets --help)\n"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["guide", "--jsn"], "unknown argument --jsn. Did you mean --json?"),
        (["inspect"], "the following arguments are required: checkpoint."),
        (["inspect", "x", "--layer"], "unknown argument --layer. Did you mean --layers?"),
        (["show", "losses", "--ou=x"], "unknown argument --ou=x. Did you mean --out?"),
        (["completion", "fish"], "shell: invalid choice: 'fish' (choose from 'bash', 'zsh')"),
        (["show", "optimizer"], "unknown subject optimizer: show takes"),
    ],
)
def test_a_wrong_argument_gives_a_one_line_error(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith(f"error: {said}")
    assert caught.err.count("\n") == 1


def test_json_output(capsys: pytest.CaptureFixture[str]) -> None:
    main(["presets", "--json"])
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == names()
    main(["guide", "rare", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert {"losses/focal.yaml"} < {row["preset"] for row in rows}
    assert all(row["command"].startswith("descent fit -c ") for row in rows)
    words = [
        "-c",
        "configs/quickstart.yaml",
        "--steps=20",
        "--repeats=1",
        "--low=1e-4",
        "--high=100",
        "--data.batch_size=16",
        "--trainer.accelerator=cpu",
    ]
    main(["find-lr", *words, "--json=true"])
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(Path("runs/quickstart/0/lr_finder.json").read_text())


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["version"]])
def test_the_version(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main(words)
    assert capsys.readouterr().out.startswith("descent ")


def test_help_is_a_command_too_and_loads_no_library(capsys: pytest.CaptureFixture[str]) -> None:
    main(["help", "fit"])
    said = capsys.readouterr().out
    main(["fit", "--help"])
    assert capsys.readouterr().out == said
    check = "import sys; from cli import main; main(['fit', '--help']); sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True).returncode == 0
