"""Private parts of LightningCLI."""

from typing import Any, ClassVar

from lightning.pytorch.cli import LightningArgumentParser, LightningCLI


class CommandLine(LightningCLI):
    """A `LightningCLI` with public methods where Lightning has private ones."""

    kept_parsers: ClassVar[dict[str, tuple[LightningArgumentParser, list[str]]] | None] = None
    """Parsers of subcommands, and the names of their own arguments, that all commands of a process share.

    Each class needs a dictionary of its own; with None, each command builds them, which takes a tenth of a short fit.
    """

    def prepare_parser(self, parser: LightningArgumentParser, subcommand: str) -> None:
        """Change the parser of a subcommand when it is built; by default nothing.

        `add_arguments_to_parser` does not say which subcommand the parser belongs to, and comes before the
        subcommand's own arguments are added.
        """

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        if self.kept_parsers is not None and subcommand in self.kept_parsers:
            parser, self._subcommand_method_arguments[subcommand] = self.kept_parsers[subcommand]
            return parser
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        self.prepare_parser(parser, subcommand)
        if self.kept_parsers is not None:
            self.kept_parsers[subcommand] = parser, self._subcommand_method_arguments[subcommand]
        return parser

    def _parse_ckpt_path(self) -> None:
        """Do nothing: Lightning lets a checkpoint's hyperparameters beat what was typed on the command line.

        Descent reads the run's `config.yaml` first, and arguments of the command line come after it.
        """
