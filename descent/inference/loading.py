"""Load a trained network, with its data and trainer, from a checkpoint."""

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
class TrainedNetwork:
    """A trained network with its data and trainer.

    Args:
        module: The module with the checkpoint's weights, on the CPU, in evaluation mode.
        data: The data module of the run's config, with the checkpoint's mean and standard deviation.
        trainer: The Trainer of the run's config, which determines device and precision.
        checkpoint: The checkpoint file.
        run: The run whose folder holds the checkpoint, if any.
        state: The data module's state in the checkpoint, if any.
    """

    module: SupervisedModule
    data: LightningDataModule
    trainer: Trainer
    checkpoint: Path
    run: Run | None
    state: dict[str, Any] | None = None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, from the data module."""
        return list(self.data.class_names)  # type: ignore[attr-defined]

    def folder(self, name: str) -> Path:
        """Default output folder of a command: inside the run's folder, without a run in the working folder."""
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


def load_trained_network(checkpoint: str, words: list[str]) -> TrainedNetwork:
    """Build module, data and trainer from the checkpoint's config, for one device, and load the weights.

    Args:
        checkpoint: A checkpoint, a run's folder or an experiment's folder, as for `descent test --ckpt_path`.
        words: The other arguments of the command line; they override the config.

    Raises:
        UserError: The checkpoint is corrupt, does not fit the network, or has no config.
        OSError: The checkpoint does not exist.
        SystemExit: With 2 if `words` has a mistake.
    """
    quiet()
    # The checkpoint comes last: a saved config that is given with -c has a ckpt_path too.
    words = with_config_of_checkpoint(resolve_presets(["predict", *words, "--ckpt_path", checkpoint]))
    with tempfile.TemporaryDirectory() as folder:
        cli = _Loaded(_with_own_config(words, checkpoint, Path(folder)))
    module, data = cli.model, cli.datamodule
    if not isinstance(module, SupervisedModule):
        raise UserError(f"{type(module).__name__} is no SupervisedModule, so the meaning of its output is unknown.")
    module.on_load_checkpoint(cli.checkpoint)
    module.load_state_dict(cli.checkpoint["state_dict"])
    if module.channels_last:
        module.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = cli.checkpoint.get(type(data).__qualname__)
    if state is not None:
        data.load_state_dict(state)
    return TrainedNetwork(module.eval(), data, cli.trainer, Path(cli.config["predict"].ckpt_path), cli.run, state)


def _with_own_config(words: list[str], checkpoint: str, folder: Path) -> list[str]:
    """The config first, where none is named the one inside the checkpoint; then one process; then what is typed."""
    command, *rest = words
    if "--config" in rest[:1]:
        return [command, *rest[:2], *ONE_PROCESS, *rest[2:]]
    if any(word in ("-c", "--config") or word.startswith("--config=") for word in rest):
        return [command, *rest[:-2], *ONE_PROCESS, *rest[-2:]]
    inside = read_checkpoint(resolve_checkpoint(checkpoint, "best", None), "cpu").get(KEY, {}).get("config")
    if not inside:
        raise UserError(f"{checkpoint} is not in a run's folder and holds no config: give the config with -c.")
    (folder / "config.yaml").write_text(inside, encoding="utf-8")
    return [command, "--config", str(folder / "config.yaml"), *ONE_PROCESS, *rest]
