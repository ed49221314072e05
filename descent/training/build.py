"""Build the module, data and trainer of a config without running anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from jsonargparse import Namespace
from lightning import seed_everything
from lightning.pytorch import Callback, LightningDataModule, LightningModule

from descent.config_errors.check import check_config
from descent.config_errors.constructor import explained_constructor_errors
from descent.config_errors.linked import check_linked
from descent.config_errors.monitored import settle_modes
from descent.training.parser import LINKS, Parser, add_run_arguments
from descent.training.processes import as_list
from descent.training.trainer import Trainer
from foundation.hardware import effective_precision


@dataclass(frozen=True)
class Built:
    """The objects of a config: what `descent fit` would train, with which data and trainer."""

    config: Namespace
    module: LightningModule
    data: LightningDataModule
    trainer: Trainer


@cache
def config_parser(command: str | None = None) -> Parser:
    """Return the parser of a run's config; building it takes longer than a small network's epoch, so it is kept.

    Args:
        command: Method of the trainer whose arguments the config may hold too, as the config of a run does.
    """
    parser = Parser()
    parser.raises = True
    parser.add_argument("-c", "--config", action="config")
    parser.add_argument("--seed_everything", type=bool | int, default=0)
    parser.add_lightning_class_args(Trainer, "trainer")
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    add_run_arguments(parser)
    if command is not None:
        parser.add_method_arguments(Trainer, command, skip={"model", "dataloaders", "train_dataloaders", "datamodule"})
    return parser


def parse_config(words: Sequence[str], command: str | None = None) -> Namespace:
    """Parse words of a command line into a config.

    Args:
        words: E.g. `["--config", "runs/quickstart/0/config.yaml", "--trainer.devices=1"]`; the text of a config may
            stand in place of its path.
        command: See `config_parser`.

    Raises:
        UserError: A key or a value is wrong; the message is that of the command line.
    """
    parser = config_parser(command)
    config: Namespace = parser.parse_args(list(words))
    settle_modes(config, lambda: parser.parse_args(list(words), defaults=False))
    check_config(config, parser)
    return config


def build(
    config: Namespace,
    *,
    command: str | None = None,
    callbacks: Sequence[Callback] = (),
    trainer_options: Mapping[str, Any] | None = None,
) -> Built:
    """Seed the random numbers and build what a config describes.

    The trainer has no logger, no callbacks but the config's and those given here, and a precision that its device
    supports.

    Args:
        config: As `parse_config` returns it; the caller may have changed it.
        command: As it was given to `parse_config`.
        callbacks: Added to those of the config.
        trainer_options: Arguments of the trainer that take the place of the config's.

    Raises:
        UserError: A constructor raised an error.
        OSError: A file is missing or cannot be read.
    """
    if config.seed_everything is not False:
        seed = None if config.seed_everything is True else config.seed_everything
        seed_everything(seed, workers=True, verbose=False)
    with explained_constructor_errors(config):
        objects = config_parser(command).instantiate(config)
        check_linked(config, objects.data, LINKS)
        options = {**objects.trainer, "logger": False, **(trainer_options or {})}
        options["callbacks"] = [*as_list(options["callbacks"]), *callbacks]
        options["precision"], _ = effective_precision(options["precision"], options["accelerator"])
        return Built(config, objects.model, objects.data, Trainer(**options))
