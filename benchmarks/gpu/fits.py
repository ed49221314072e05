"""Short fits for the checks, in this process or another one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback

from cli import main

ROOT = Path(__file__).parents[2]
STEPS = 12


def command(*words: str) -> tuple[Any, str]:
    """Run a command of Descent in this process; return its result and what it printed.

    Raises:
        RuntimeError: It ended with an error; the text is the last that it printed.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            return main(list(words)), said.getvalue()
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(said.getvalue()) from ended
        return None, said.getvalue()


def process(*words: str) -> str:
    """Run a command of Descent as a process of its own; return what it printed.

    Raises:
        RuntimeError: It ended with an error.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "cli", *words], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout[-1000:] + done.stderr[-1000:])
    return done.stdout


def short(config: str, accelerator: str = "gpu", *words: str) -> list[str]:
    """Return the words of a short fit of a config."""
    own = [f"--config={ROOT}/configs/{config}.yaml"] if config else []
    own += ["--trainer.max_epochs=1", f"--trainer.limit_train_batches={STEPS}", "--trainer.limit_val_batches=4"]
    own += ["--trainer.log_every_n_steps=4", "--trainer.enable_progress_bar=false", "--trainer.devices=1"]
    return ["fit", *own, f"--trainer.accelerator={accelerator}", *words]


def loss_of(config: str, accelerator: str, *words: str) -> float:
    """Train shortly; return the loss, or what the run is judged by."""
    run, _ = command(*short(config, accelerator, *words))
    metrics = run.trainer.callback_metrics
    name = next((one for one in ("val/loss", "train/loss") if one in metrics), sorted(metrics)[0])
    return float(metrics[name])


class Waits(Callback):
    """Count how often the host waits for the GPU in the steps between logs, by torch's own warnings."""

    per_step: ClassVar[float] = float("nan")
    where: ClassVar[str] = ""

    def __init__(self) -> None:
        self.recorder = warnings.catch_warnings(record=True)
        self.found: list[warnings.WarningMessage] = []

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Listen in three steps of the first epoch."""
        if batch_idx == 8:  # steps 8, 9 and 10; step 11 is logged
            self.found = self.recorder.__enter__() or []
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
        if batch_idx == 11:
            torch.cuda.set_sync_debug_mode("default")
            self.recorder.__exit__(None, None, None)
            waits = [one for one in self.found if "synchronizing" in str(one.message)]
            Waits.per_step = len(waits) / 3
            Waits.where = f" ({waits[0].filename.rpartition('site-packages/')[2]}:{waits[0].lineno})" if waits else ""
