"""Private parts of LightningCLI."""

from typing import Any

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI


class CommandLine(LightningCLI):
    """A `LightningCLI` with public methods where Lightning has private ones."""

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Change the parser of a subcommand; by default nothing.

        `add_arguments_to_parser` does not say which subcommand the parser belongs to, and comes before the
        subcommand's own arguments are added.
        """

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        self.prepare_parser(parser, subcommand)
        return parser

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning lets a checkpoint's hyperparameters beat what was typed on the command line.

        Descent reads the run's `config.yaml` first, and arguments of the command line come after it.
        """
