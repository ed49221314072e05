"""Run commands in the test's own process."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import main

# A run of two epochs of three steps on the digits.
SHORT = [
    "fit", "-c", "configs/quickstart.yaml", "--trainer.max_epochs=2", "--trainer.limit_train_batches=3",
    "--trainer.log_every_n_steps=1", "--trainer.accelerator=cpu",
]  # fmt: skip


def run(words: Sequence[str]) -> Any:
    """Run a command; return its LightningCLI object."""
    return main(list(words))


def refused(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the error of a command that must exit with code 2 and one line, without a traceback."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, said
    assert said.endswith(errors[0])
    assert "Traceback" not in said
    assert not list(Path("runs").rglob("config.yaml")), "a run that failed before its first step left its folder"
    return errors[0].removeprefix("error: ")
