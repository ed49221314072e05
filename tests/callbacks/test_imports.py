"""`callbacks` imports its names when they are used, and still hands on all of them."""

import subprocess
import sys

import pytest

import callbacks
from cli import main


@pytest.mark.parametrize("name", callbacks.__all__)
def test_every_name_can_be_imported(name: str) -> None:
    assert getattr(callbacks, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'callbacks' has no attribute 'GradientNorms'"):
        callbacks.GradientNorms  # noqa: B018


def test_a_module_without_torch_loads_without_torch() -> None:
    code = "import sys, callbacks.checkpointing.seal; print({'torch', 'lightning'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("name", ["ClassWeights", "callbacks.ClassWeights"])
def test_a_config_names_a_callback_with_or_without_its_package(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "-c", "configs/quickstart.yaml", f"--trainer.callbacks+={name}", "--print_config"])
    assert ended.value.code == 0
    assert "class_path: callbacks.ClassWeights" in capsys.readouterr().out
