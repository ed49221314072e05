"""Nothing heavy is imported before it is needed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# What takes more than a tenth of a second, and no first training step needs; Lightning itself imports matplotlib.
HEAVY = ("pandas", "sklearn", "timm", "schedulefree", "optuna", "narwhals")
FIRST_STEP = f"""
import sys
import lightning.pytorch.cli
from lightning.pytorch.callbacks import Callback
before = set(sys.modules)
import cli
class Look(Callback):
    def on_train_batch_end(self, *args):
        print("HEAVY", sorted(name for name in {HEAVY} if name in set(sys.modules) - before))
        raise SystemExit(0)
sys.modules["look"] = sys.modules["__main__"]
cli.main(["fit", "-c", "configs/quickstart.yaml", "--trainer.accelerator=cpu", "--trainer.callbacks=look.Look"])
"""


def python(words: list[str], folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    return ended.stdout


def test_help_imports_no_torch(tmp_path: Path) -> None:
    script = "import sys, cli; cli.main(['--help']); print('torch' in sys.modules, 'lightning' in sys.modules)"
    assert python(["-c", script], tmp_path).endswith("False False\n")


def test_the_first_step_needs_nothing_heavy(tmp_path: Path) -> None:
    lines = python(["-c", FIRST_STEP], tmp_path).splitlines()
    assert [line for line in lines if line.startswith("HEAVY")] == ["HEAVY []"]
