"""The last lines of a fit: what was measured when, and commands that work when they are pasted."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason
from PIL import Image

from descent.runs.summary import as_duration, early_stop, more_training, validation_results
from foundation.terminal.folding import folded
from tests.descent.helpers import run

FIT = [
    "fit", "-c", "configs/quickstart.yaml", "--trainer.limit_train_batches=2", "--trainer.accelerator=cpu",
    "--trainer.limit_val_batches=1", "--trainer.log_every_n_steps=1", "--data.batch_size=16",
]  # fmt: skip


def suggestions(text: str) -> dict[str, list[str]]:
    """Return the suggested commands by the word before them."""
    found = re.findall(r"^(\w+) +descent (.*)$", text, flags=re.MULTILINE)
    return {name: shlex.split(command) for name, command in found}


@pytest.mark.parametrize(
    ("limits", "suggested"),
    [
        (["--trainer.max_steps=3", "--trainer.max_epochs=-1"], "--trainer.max_steps 6"),
        (["--trainer.max_steps=3"], "--trainer.max_steps 6"),
        (["--trainer.max_epochs=1"], "--trainer.max_epochs 2"),
        (["--trainer.max_epochs=-1", "--trainer.max_time=00:00:00:01", "--model.scheduler=null"], "--trainer.max_time 00:00:00:0"),
    ],
)  # fmt: skip
def test_the_suggested_resume_trains_on(limits: list[str], suggested: str, capsys: pytest.CaptureFixture[str]) -> None:
    steps = run([*FIT, *limits]).trainer.global_step
    said = capsys.readouterr().out
    resume = suggestions(said)["resume"]
    assert suggested in " ".join(resume)
    assert "-2" not in resume
    assert run(resume).trainer.global_step > steps
    assert "resume" in suggestions(capsys.readouterr().out)


def test_every_other_command_works_when_it_is_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    run([*FIT, "--trainer.max_epochs=1"])
    said = capsys.readouterr().out
    sentences = ("validation", "warning", " ")  # standard output is no terminal: they are not folded
    assert all(len(line) <= 100 for line in said.splitlines() if not line.startswith(sentences))
    commands = suggestions(said)
    assert list(commands) == ["test", "resume", "evaluate", "predict", "export"]
    assert commands["test"] == ["test", "--ckpt_path", "runs/quickstart/0"]
    Path("images").mkdir()
    Image.new("L", (8, 8)).save("images/one.png")
    for name in ("test", "evaluate", "predict", "export"):
        run([word.replace("FOLDER", "images") for word in commands[name]])


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_every_task_with_a_report_names_its_command(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    run(["fit", "-c", f"configs/{task}.yaml", *FIT[3:], "--trainer.max_epochs=1"])
    assert suggestions(capsys.readouterr().out)["evaluate"] == ["evaluate", "--ckpt_path", f"runs/{task}/0"]


def trainer(**changes: Any) -> Any:
    progress = SimpleNamespace(current=SimpleNamespace(completed=2))
    given = {"max_epochs": 2, "max_steps": -1, "global_step": 20, "callbacks": []}
    return SimpleNamespace(**{**given, **changes}, fit_loop=SimpleNamespace(epoch_progress=progress))


def test_each_limit_that_ended_the_run_is_doubled() -> None:
    assert more_training(trainer()) == " --trainer.max_epochs 4"
    assert more_training(trainer(max_epochs=9)) == ""  # stopped by hand: the same command goes on
    assert more_training(trainer(max_epochs=-1, max_steps=20)) == " --trainer.max_steps 40"
    assert more_training(trainer(max_steps=20)) == " --trainer.max_epochs 4 --trainer.max_steps 40"
    assert more_training(trainer(max_epochs=9, callbacks=[Timer("00:00:00:00")])) == " --trainer.max_time 00:00:00:00"
    assert as_duration(2 * 45_000.5) == "01:01:00:01"


def test_a_run_that_early_stopping_ended_is_not_resumed() -> None:
    """It keeps its patience and its count, so it would stop again."""
    stopper = EarlyStopping("val/loss")
    assert more_training(trainer(callbacks=[stopper])) is not None
    stopper.stopping_reason = EarlyStoppingReason.PATIENCE_EXHAUSTED
    stopper.stopping_reason_message = "val/loss = nan is not finite. Signaling Trainer to stop."
    assert more_training(trainer(callbacks=[stopper])) is None
    assert early_stop(trainer(callbacks=[stopper])) == "val/loss = nan is not finite."


def test_results_of_an_earlier_epoch_say_so() -> None:
    metrics = {name: torch.tensor(0.5) for name in ("val/loss", "val/accuracy", "train/loss")}
    measured = SimpleNamespace(older=lambda: {"val/loss": 1})
    run = SimpleNamespace(callback_metrics=metrics, checkpoint_callback=SimpleNamespace(measured=measured))
    assert validation_results(run) == "accuracy 0.5000; loss 0.5000 (of epoch 2; none after it)"


@pytest.mark.parametrize("width", [40, 60, 80, 100, 160, None])
def test_results_fit_the_terminal(width: int | None) -> None:
    line = (
        "validation  accuracy 0.9862 (the most common class (1) would give 0.1034), accuracy_top5 1.0000, "
        "loss -1.2e+30; best val/loss nan"
    )
    lines = folded(line, width).splitlines()
    assert max(map(len, lines)) <= (width or len(line))
    assert "  ".join(lines[0].split("  ") + [other.strip() for other in lines[1:]]).split() == line.split()
    for other in lines[1:]:
        assert re.match(r" {12}[a-z(]", other), "a number belongs to the name before it"
        assert not other.strip().startswith("nan")
