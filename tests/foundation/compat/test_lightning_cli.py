"""LightningCLI calls the private methods that `foundation.compat.lightning_cli` overrides."""

from pathlib import Path
from typing import Any, ClassVar

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
    """Record which parsers are prepared; `validate` and `test` run nothing."""

    def __init__(self, *words: str) -> None:
        self.prepared: list[str] = []
        super().__init__(Sized, BoringDataModule, save_config_callback=None, args=list(words))

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        parser.add_argument(f"--only_{subcommand}", type=int, default=0)
        self.prepared.append(subcommand)

    def validate(self, **_: object) -> None: ...

    def test(self, **_: object) -> None: ...


def test_each_subcommands_parser_is_prepared() -> None:
    cli = Noted("validate", "--only_validate", "3")
    assert cli.prepared == ["fit", "validate", "test", "predict"], "`_prepare_subcommand_parser` is not called any more"
    assert cli.config.validate.only_validate == 3
    assert isinstance(cli.model, LightningModule)


def test_what_is_typed_beats_the_hyperparameters_of_a_checkpoint(tmp_path: Path) -> None:
    saved = {"state_dict": Sized(5).state_dict(), "hyper_parameters": {"size": 5}}
    torch.save(saved, tmp_path / "five.ckpt")
    cli = Noted("test", "--model.size", "7", "--ckpt_path", str(tmp_path / "five.ckpt"))
    assert cli.model.size == 7, "Lightning reads a checkpoint's hyperparameters elsewhere than in `_parse_ckpt_path`"


def test_parsers_that_are_kept_are_built_once() -> None:
    class Keeping(Noted):
        kept_parsers: ClassVar[dict[str, Any]] = {}

    first, second = (Keeping("validate", "--only_validate", number) for number in ("3", "4"))
    assert (first.prepared, second.prepared) == (["fit", "validate", "test", "predict"], [])
    assert (first.config.validate.only_validate, second.config.validate.only_validate) == (3, 4)
    assert Noted("validate").prepared
