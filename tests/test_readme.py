"""What the README shows is run, word by word (with fewer epochs)."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from cli import main

README = (Path(__file__).parents[1] / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
FITS = [
    line.split("#")[0].strip().removeprefix("descent ")
    for line in README.splitlines()
    if line.startswith("    descent fit -c configs/quickstart.yaml")
]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # another page's, in the same process


def test_the_python_example() -> None:
    example = next(block for block in PYTHON if "Trainer(" in block)
    names: dict[str, Any] = {}
    exec(example.replace("max_epochs=3", "max_epochs=2, limit_train_batches=4, accelerator='cpu'"), names)
    assert len(names["history"](names["trainer"].log_dir)) == 2


@pytest.mark.parametrize("command", FITS)
def test_a_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(next(block for block in PYTHON if "class TwoLayers" in block))
    words = shlex.split(command)
    if "--print_config" in words or "--help" in words:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        return
    done = main([*words, "--trainer.max_epochs=6", "--trainer.limit_train_batches=1", "--trainer.accelerator=cpu"])
    assert done.trainer.global_step == 6


def test_the_config_is_the_shipped_one() -> None:
    import yaml

    shown = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0])
    shipped = yaml.safe_load((Path(__file__).parents[1] / "configs" / "quickstart.yaml").read_text())
    assert shown["model"] == shipped["model"]
    assert shown["data"] == shipped["data"]
