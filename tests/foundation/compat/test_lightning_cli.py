"""LightningCLI calls the private methods that `foundation.compat.lightning_cli` overrides."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningArgumentParser
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel

from foundation.compat.lightning_cli import CommandLine


class Sized(BoringModel):
    """A module with an argument that a checkpoint remembers."""

    def __init__(self, size: int = 1) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.size = size


class Noted(CommandLine):
    """Writes down what it is asked, and runs nothing."""

    def __init__(self, *words: str) -> None:
        self.prepared: list[str] = []
        self.asked: list[str] = []
        super().__init__(Sized, BoringDataModule, save_config_callback=None, args=list(words))

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        parser.add_argument(f"--only_{subcommand}", type=int, default=0)
        self.prepared.append(subcommand)

    def run_subcommand(self, subcommand: str) -> None:
        self.asked.append(subcommand)


def test_each_subcommands_parser_is_prepared_and_the_chosen_one_run() -> None:
    cli = Noted("validate", "--only_validate", "3")
    assert cli.prepared == ["fit", "validate", "test", "predict"], "`_prepare_subcommand_parser` is not called any more"
    assert cli.asked == ["validate"], "`_run_subcommand` is not called any more"
    assert cli.setting("only_validate") == 3
    assert isinstance(cli.model, LightningModule)


def test_a_subcommand_runs_as_lightnings_own() -> None:
    class Running(Noted):
        def run_subcommand(self, subcommand: str) -> None:
            super().run_subcommand(subcommand)
            CommandLine.run_subcommand(self, subcommand)

    cli = Running("fit", "--trainer.fast_dev_run", "1", "--trainer.accelerator", "cpu", "--trainer.logger", "false")
    assert cli.trainer.global_step == 1


def test_what_is_typed_beats_the_hyperparameters_of_a_checkpoint(tmp_path: Path) -> None:
    saved = {"state_dict": Sized(5).state_dict(), "hyper_parameters": {"size": 5}}
    torch.save(saved, tmp_path / "five.ckpt")
    cli = Noted("test", "--model.size", "7", "--ckpt_path", str(tmp_path / "five.ckpt"))
    assert cli.model.size == 7, "Lightning reads a checkpoint's hyperparameters elsewhere than in `_parse_ckpt_path`"


def test_without_subcommands_settings_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    cli = CommandLine(Sized, BoringDataModule, save_config_callback=None, args=["--trainer.max_epochs", "3"], run=False)
    assert cli.setting("trainer").max_epochs == 3
    assert cli.setting("not_there") is None
