"""Slow imports happen only when they are needed."""

import os
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[3]
# Imports of more than 0.1 s that the first training step does not need; Lightning itself imports matplotlib.
SLOW = ("pandas", "sklearn", "timm", "schedulefree", "optuna", "narwhals")
FIRST_STEP = f"""
import sys
import lightning.pytorch.cli
from lightning.pytorch.callbacks import Callback
before = set(sys.modules)
import cli
class Look(Callback):
    def on_train_batch_end(self, *args):
        print("SLOW", sorted(name for name in {SLOW} if name in set(sys.modules) - before))
        raise SystemExit(0)
sys.modules["look"] = sys.modules["__main__"]
cli.main(["fit", "-c", "configs/quickstart.yaml", "--trainer.accelerator=cpu", "--trainer.callbacks=look.Look"])
"""


def python(words: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    return ended.stdout


def test_help_imports_neither_torch_nor_lightning(tmp_path: Path) -> None:
    script = "import sys, cli; cli.main(['--help']); print('torch' in sys.modules, 'lightning' in sys.modules)"
    assert python(["-c", script], tmp_path).endswith("False False\n")


def test_inspect_does_not_import_lightning(tmp_path: Path) -> None:
    torch.save({"state_dict": {"weight": torch.zeros(2)}}, tmp_path / "theirs.ckpt")
    script = "import sys, cli; cli.main(['inspect', 'theirs.ckpt']); print('lightning' in sys.modules)"
    assert python(["-c", script], tmp_path).endswith("False\n")


def test_the_first_step_imports_nothing_slow(tmp_path: Path) -> None:
    lines = python(["-c", FIRST_STEP], tmp_path).splitlines()
    assert [line for line in lines if line.startswith("SLOW")] == ["SLOW []"]
