"""What docs/add_your_own.md shows is run as it stands (with fewer steps), and the wheel holds what a project needs."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from setuptools import find_namespace_packages

from cli import main

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "add_your_own.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^    descent (fit .*)$", PAGE, re.MULTILINE)
SHORT = [
    "--trainer.max_epochs=2",
    "--trainer.limit_train_batches=3",
    "--trainer.limit_val_batches=1",
    "--trainer.accelerator=cpu",
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    Path("mine.py").write_text("\n\n".join(BLOCKS[:-1]))
    name, text = re.findall(r"```yaml\n# (losses/\w+\.yaml)(.*?)```", PAGE, re.DOTALL)[0]
    Path("losses").mkdir()
    Path(name).write_text(f"#{text}")


def test_there_is_one_of_each_kind() -> None:
    assert len(BLOCKS) == 6
    assert len(COMMANDS) == 6


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.partition("--")[2])
def test_a_command(command: str) -> None:
    done = main([*shlex.split(command), *SHORT])
    assert done.trainer.global_step == 6
    used = [
        done.model.loss,
        done.model.lr_schedulers(),
        *done.trainer.optimizers,
        *done.trainer.callbacks,
        done.datamodule,
    ]
    assert any(
        type(part).__module__ == "mine" or type(getattr(part, "step_schedule", None)).__module__ == "mine"
        for part in used
    )


def test_from_another_project(tmp_path: Path) -> None:
    Path("project.py").write_text("import torch\nfrom torch import nn\n\n" + BLOCKS[-1])
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); import runpy; runpy.run_path('project.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 1e-3 < float(done.stdout.splitlines()[0]) < 100


def test_the_wheel_holds_every_preset_and_package() -> None:

    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = set(find_namespace_packages(str(ROOT), include=table["packages"]["find"]["include"]))
    for preset in (ROOT / "configs").rglob("*.yaml"):
        assert ".".join(preset.parent.relative_to(ROOT).parts) in packages
    assert "*.yaml" in table["package-data"]["*"]
    assert {name.partition(".")[0] for name in packages} == {
        "callbacks", "configs", "datamodules", "descent", "foundation", "lightning_modules",
    }  # fmt: skip
