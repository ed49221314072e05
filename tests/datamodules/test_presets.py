"""Presets of configs/data through LightningCLI: alone, and with a root and other settings on the command line."""

from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.demos.boring_classes import BoringModel

from datamodules import CIFAR10DataModule, CropFlip, DigitsDataModule, ImageDataModule, ImageFolderDataModule

PRESETS = Path(__file__).parents[2] / "configs" / "data"


def parsed(*arguments: str) -> LightningDataModule:
    cli = LightningCLI(
        BoringModel,
        LightningDataModule,
        subclass_mode_data=True,
        run=False,
        save_config_callback=None,
        seed_everything_default=False,
        args=[*arguments, "--trainer.logger=false"],
    )
    return cli.datamodule


@pytest.fixture(autouse=True)
def _no_arguments_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["descent"])


def test_presets_begin_with_a_comment() -> None:
    assert {file.name for file in PRESETS.glob("*.yaml")} >= {"cifar10.yaml", "digits.yaml", "image_folder.yaml"}
    assert all(file.read_text().startswith("# ") for file in PRESETS.glob("*.yaml"))


@pytest.mark.parametrize(("name", "kind"), [("cifar10", CIFAR10DataModule), ("digits", DigitsDataModule)])
def test_alone(name: str, kind: type[ImageDataModule]) -> None:
    data = parsed("--data", str(PRESETS / f"{name}.yaml"))
    assert type(data) is kind
    assert isinstance(data.augmentation, CropFlip)


@pytest.mark.parametrize("option", ["--data.root", "--data.init_args.root"])
def test_folder_with_a_root(option: str, tmp_path: Path) -> None:
    arguments = ["--data", str(PRESETS / "image_folder.yaml"), option, str(tmp_path)]
    data = parsed(*arguments, "--data.image_size", "[48, 64]", "--data.augmentation.padding", "6")
    assert isinstance(data, ImageFolderDataModule)
    assert data.root == tmp_path
    assert data.image_size == (48, 64)
    assert isinstance(data.augmentation, CropFlip)
    assert data.augmentation.padding == 6


def test_no_augmentation() -> None:
    data = parsed("--data", str(PRESETS / "cifar10.yaml"), "--data.augmentation", "null", "--data.seed", "3")
    assert isinstance(data, ImageDataModule)
    assert data.augmentation is None
    assert data.seed == 3


def test_folder_without_a_root(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--data", str(PRESETS / "image_folder.yaml"))
    assert "the following arguments are required: root" in capsys.readouterr().err
