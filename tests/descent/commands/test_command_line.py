"""How the command line feels: help that fits a screen, plain text in a pipe, JSON for programs, completion."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from cli import main
from descent.commands.candidates import candidates, options
from descent.commands.completion import BASH, ZSH
from descent.commands.presets import kinds
from descent.commands.table import LIGHT, TRAINING, commands
from descent.presets import names
from tests.descent.helpers import SHORT

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


def in_a_pipe(words: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    env = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"} | environment
    return subprocess.run([sys.executable, "-m", "cli", *words], capture_output=True, text=True, cwd=folder, env=env)


def test_a_piped_fit_is_plain_and_its_errors_are_apart(tmp_path: Path) -> None:
    done = in_a_pipe([*SHORT, "--trainer.max_epochs=1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "run folder  runs/quickstart/0" in done.stdout
    wrong = in_a_pipe(["presets", "loses"], tmp_path)
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
def test_a_mistake_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err.startswith(f"error: {said}")
    assert caught.err.count("\n") == 1


def test_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
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
        "--trainer.accelerator=cpu",
    ]
    main(["find-lr", *words, "--json=true"])
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(Path("runs/quickstart/0/lr_finder.json").read_text())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fi", {"find-lr", "fit"}),
        ("fit -c configs/qui", {"configs/quickstart.yaml"}),
        ("fit --config=configs/qui", {"configs/quickstart.yaml"}),
        ("fit --config = configs/qui", {"configs/quickstart.yaml"}),
        ("fit --model.loss losses/f", {"losses/focal.yaml", "losses/focal_sigmoid.yaml"}),
        ("fit --trainer.callbacks+ callbacks/e", {"callbacks/early_stopping.yaml", "callbacks/ema.yaml"}),
        ("fit --tr", {"--trainer."}),
        ("fit --trainer.max_e", {"--trainer.max_epochs"}),
        ("fit --trainer.precision b", {"bf16-mixed"}),
        ("fit --model.optimizer optimizers/sgd_momentum.yaml --model.optimizer.m", {"--model.optimizer.momentum"}),
        ("fit -c configs/quickstart.yaml --model.optimizer.w", {"--model.optimizer.weight_decay"}),
        ("compare -c configs/studies/los", {f"configs/studies/losses_{kind}.yaml" for kind in ("clean", "heavy_tails", "outliers")}),
        ("compare --bu", {"--budget"}),
        ("evaluate --im", {"--images"}),
        ("export --to o", {"onnx"}),
        ("presets sch", {"schedulers"}),
        ("show sched", {"schedule", "schedulers"}),
        ("show schedule -c configs/ci", {"configs/cifar10.yaml"}),
        ("test --ckpt_path ru", {"runs/"}),
        ("nothing such", set()),
    ],
)  # fmt: skip
def test_what_can_come_next(line: str, expected: set[str]) -> None:
    Path("runs").mkdir()
    assert set(candidates(line.split())) == expected


def test_a_key_press_does_not_wait_for_torch(tmp_path: Path) -> None:
    asked = "from cli import main; main(['completion', '--', 'fit', '-c', '{c}', '--model.optimizer.']); import sys; "
    code = (
        asked.format(c="configs/quickstart.yaml")
        + "assert not {'torch', 'lightning', 'jsonargparse'} & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "--model.optimizer.lr\n" in done.stdout


def test_offered_options_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help_all"])
    every = capsys.readouterr().out
    offered = options("fit", ["-c", "configs/quickstart.yaml"])
    assert len(offered) > 50
    missing = [o for o in offered if o not in every and not o.startswith(("--model.", "--data."))]
    assert missing == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_in_a_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        assert shell == "zsh", "bash belongs to every Linux"
        return
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "descent").write_text(f"#!/bin/sh\nexec '{sys.executable}' -m cli \"$@\"\n")
    (folder / "descent").chmod(0o755)
    typed = 'COMP_WORDS=(descent fit --model.loss losses/focal_); COMP_CWORD=3; compopt() { :; }; _descent; echo "${COMPREPLY[@]}"'
    # zsh's own compadd and compset work only inside its editor: stand-ins print what they're given.
    stand_in = 'compdef() { :; }; compset() { :; }; compadd() { shift; echo "$@"; }; '
    asked = "words=(descent fit --model.loss losses/focal_); CURRENT=4; _descent"
    script = BASH + typed if shell == "bash" else stand_in + ZSH + asked
    env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.stdout.strip() == "losses/focal_sigmoid.yaml", done.stderr
