"""`descent completion`: candidates for the last word, and the scripts in real shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import main
from descent.commands.candidates import candidates, options
from descent.commands.completion import BASH, ZSH

ROOT = Path(__file__).parents[3]


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
        ("show optimizers --st", {"--steps"}),
        ("nothing such", set()),
    ],
)  # fmt: skip
def test_candidates_for_the_last_word(line: str, expected: set[str]) -> None:
    Path("runs").mkdir()
    assert set(candidates(line.split())) == expected


def test_completion_does_not_import_torch(tmp_path: Path) -> None:
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


def test_every_candidate_is_an_option_of_the_parser(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--help_all"])
    every = capsys.readouterr().out
    offered = options("fit", ["-c", "configs/quickstart.yaml"])
    assert len(offered) > 50
    missing = [o for o in offered if o not in every and not o.startswith(("--model.", "--data."))]
    assert missing == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_completes_in_a_shell(shell: str, tmp_path: Path) -> None:
    program = shutil.which(shell)
    if program is None:
        assert shell == "zsh", "every Linux has bash"
        return
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "descent").write_text(f"#!/bin/sh\nexec '{sys.executable}' -m cli \"$@\"\n")
    (folder / "descent").chmod(0o755)
    typed = 'COMP_WORDS=(descent fit --model.loss losses/focal_); COMP_CWORD=3; compopt() { :; }; _descent; echo "${COMPREPLY[@]}"'
    # zsh's compadd and compset work only inside its line editor: replacements print their arguments.
    replacements = 'compdef() { :; }; compset() { :; }; compadd() { shift; echo "$@"; }; '
    asked = "words=(descent fit --model.loss losses/focal_); CURRENT=4; _descent"
    script = BASH + typed if shell == "bash" else replacements + ZSH + asked
    env = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([program, "-c", script], capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.stdout.strip() == "losses/focal_sigmoid.yaml", done.stderr
