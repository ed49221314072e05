"""A user's own folders with the names of Descent's packages: both are found, or a line says which hides which."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import callbacks
from descent import presets
from descent.config_errors.own_packages import PACKAGES, find_beside_ours
from descent.training.build import parse_config
from foundation.errors import UserError

MODULE = "from lightning.pytorch import Callback\n\nclass Mine(Callback):\n    pass\n"


@pytest.fixture
def _folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(callbacks, "__path__", list(callbacks.__path__))
    Path("callbacks").mkdir()
    Path("callbacks/__init__.py").write_text(MODULE)
    Path("callbacks/mine_here.py").write_text(MODULE)
    find_beside_ours(Path.cwd())
    yield
    sys.modules.pop("callbacks.mine_here", None)


def parse(class_path: str) -> object:
    config = presets.SHIPPED / "quickstart.yaml"
    return parse_config(["-c", str(config), f"--trainer.callbacks={class_path}"]).trainer.callbacks


@pytest.mark.usefixtures("_folder")
def test_a_module_of_the_users_is_found_beside_ours() -> None:
    assert "callbacks.mine_here.Mine" in str(parse("callbacks.mine_here.Mine"))
    assert "callbacks.ema.EMA" in str(parse("callbacks.ema.EMA"))


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("class_path", ["callbacks.Mine", "callbacks.preflight.Mine"])
def test_what_is_hidden_is_said(class_path: str) -> None:
    with pytest.raises(UserError, match=r"Descent's package callbacks hides the folder callbacks/ here"):
        parse(class_path)


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize("class_path", ["callbacks.mine_here.Nosuch", "callbacks.nosuch.Mine"])
def test_a_class_that_is_nowhere_is_not_called_hidden(class_path: str) -> None:
    with pytest.raises(UserError, match=r"mine_here has no Nosuch|no module named callbacks\.nosuch") as caught:
        parse(class_path)
    assert "hides" not in str(caught.value)


def test_an_experiment_lies_inside_the_root() -> None:
    from descent.runs.folder import claim

    for name in ("../../up", "/up", "a\nb", "", " ", "a/../b"):
        with pytest.raises(UserError, match="experiment must be the name of a folder inside the root"):
            claim(Path("runs"), name)
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", PACKAGES)
def test_every_package_has_room_for_the_users_modules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = import_module(name)
    monkeypatch.setattr(package, "__path__", list(package.__path__))
    Path(name).mkdir()
    Path(f"{name}/only_here.py").write_text("X = 3\n")
    find_beside_ours(Path.cwd())
    find_beside_ours(Path.cwd())
    assert import_module(f"{name}.only_here").X == 3
    assert list(package.__path__).count(str(Path(name).resolve())) == 1
    sys.modules.pop(f"{name}.only_here")
