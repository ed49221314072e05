"""A trained network with its data and trainer, from a checkpoint, without a run."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, Trainer

from callbacks.checkpointing.metadata import KEY
from callbacks.checkpointing.reading import read_checkpoint
from descent.runs.folder import Run, resolve_checkpoint
from descent.training.command_line import DescentCLI
from descent.training.run_command import quiet, resolve_presets, with_config_of_checkpoint
from foundation.errors import UserError
from lightning_modules.base.supervised import SupervisedModule

ONE_PROCESS = ["--trainer.devices=1", "--trainer.num_nodes=1", "--trainer.strategy=auto", "--trainer.logger=false"]


@dataclass
class Trained:
    """A network as a checkpoint has it.

    Args:
        module: With the checkpoint's weights, on the CPU, in evaluation mode.
        data: Of the run's config, with the checkpoint's mean and standard deviation.
        trainer: Of the run's config; says device and precision.
        checkpoint: The file.
        run: The run that it belongs to, if it lies in one.
        state: Of the data, in the checkpoint.
    """

    module: SupervisedModule
    data: LightningDataModule
    trainer: Trainer
    checkpoint: Path
    run: Run | None
    state: dict[str, Any] | None = None

    @property
    def class_names(self) -> list[str]:
        """Of the data."""
        return list(self.data.class_names)  # type: ignore[attr-defined]

    def folder(self, name: str) -> Path:
        """Where a command writes by default: in the run's folder, or else in the working folder."""
        return (self.run.folder if self.run else Path()) / name


class _Loaded(DescentCLI):
    """The command line's objects, made and not run."""

    checkpoint: dict[str, Any]

    def before_instantiate_classes(self) -> None:
        """Read the checkpoint; its classes are those of the network, whatever lies in the data's folder now."""
        super().before_instantiate_classes()
        config = self.config["predict"]
        self.checkpoint = read_checkpoint(Path(config.ckpt_path), "cpu", config.get("weights_only"))
        names = self.checkpoint.get(KEY, {}).get("class_names")
        arguments = config.data.get("init_args", Namespace())
        if names and "class_names" in arguments and arguments.class_names is None:
            arguments.class_names = names

    def run_subcommand(self, subcommand: str) -> None:
        """Run nothing."""


def load_trained(checkpoint: str, words: list[str]) -> Trained:
    """Make module, data and trainer as the checkpoint's config says, on one device; load the weights.

    Args:
        checkpoint: As `--ckpt_path` of `descent test`.
        words: What else stands on the command line; it beats the config.

    Raises:
        UserError: The checkpoint is damaged or of another network, or has no config.
        OSError: It does not exist.
        SystemExit: With 2 after a mistake in `words`.
    """
    quiet()
    # The checkpoint comes last: a saved config that is given with -c has a ckpt_path too.
    words = with_config_of_checkpoint(resolve_presets(["predict", *words, "--ckpt_path", checkpoint]))
    with tempfile.TemporaryDirectory() as folder:
        cli = _Loaded(_with_own_config(words, checkpoint, Path(folder)))
    module, data = cli.model, cli.datamodule
    if not isinstance(module, SupervisedModule):
        raise UserError(f"{type(module).__name__} is no module of Descent: its output is not known.")
    module.on_load_checkpoint(cli.checkpoint)
    module.load_state_dict(cli.checkpoint["state_dict"])
    if module.channels_last:
        module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = cli.checkpoint.get(type(data).__qualname__)
    if state is not None:
        data.load_state_dict(state)
    return Trained(module.eval(), data, cli.trainer, Path(cli.config["predict"].ckpt_path), cli.run, state)


def _with_own_config(words: list[str], checkpoint: str, folder: Path) -> list[str]:
    """The config first, where none is named the one inside the checkpoint; then one process; then what is typed."""
    command, *rest = words
    if "--config" in rest[:1]:
        return [command, *rest[:2], *ONE_PROCESS, *rest[2:]]
    if any(word in ("-c", "--config") or word.startswith("--config=") for word in rest):
        return [command, *rest[:-2], *ONE_PROCESS, *rest[-2:]]
    inside = read_checkpoint(resolve_checkpoint(checkpoint, "best", None), "cpu").get(KEY, {}).get("config")
    if not inside:
        raise UserError(f"{checkpoint} lies in no run's folder and holds no config: give it with -c.")
    (folder / "config.yaml").write_text(inside, encoding="utf-8")
    return [command, "--config", str(folder / "config.yaml"), *ONE_PROCESS, *rest]
