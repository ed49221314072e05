"""Load a trained network, with its data and trainer, from a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, Trainer

from callbacks.checkpointing.metadata import KEY
from callbacks.checkpointing.reading import read_checkpoint
from datamodules import ImageDataModule
from descent.runs.folder import Run, resolve_checkpoint, run_of
from descent.runs.lookup import config_run
from descent.training.build import build, parse_config
from descent.training.processes import use_present_devices
from descent.training.run_command import resolve_presets, with_config_of_checkpoint
from foundation.compat.lightning_messages import quiet
from foundation.errors import UserError
from foundation.hardware import effective_precision
from foundation.processes import say
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.weights.needed import weights_from_checkpoint

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


def load_trained_network(checkpoint: str, words: list[str], any_module: bool = False) -> TrainedNetwork:
    """Build module, data and trainer from the checkpoint's config, for one device, and load the weights.

    Args:
        checkpoint: A checkpoint, a run's folder or an experiment's folder, as for `descent test --ckpt_path`.
        words: The other arguments of the command line; they override the config.
        any_module: Accept also a LightningModule that is no `SupervisedModule`, whose output has no known meaning.

    Raises:
        UserError: The checkpoint is corrupt, does not fit the network, or has no config; or `words` has a mistake.
        OSError: The checkpoint does not exist.
    """
    quiet()
    # The checkpoint comes last: a saved config that is given with -c has a ckpt_path too.
    words = with_config_of_checkpoint(resolve_presets(["predict", *words, "--ckpt_path", checkpoint]))
    config = parse_config(_on_one_device(words[1:], checkpoint), "predict")
    path = resolve_checkpoint(str(config.ckpt_path), "best", config_run(config))
    content = read_checkpoint(path, "cpu", config.get("weights_only"))
    _set_class_names(config, content)
    change = use_present_devices(config.trainer, words)
    _, reason = effective_precision(config.trainer.precision, config.trainer.accelerator)
    for sentence in filter(None, (change, reason)):
        say(sentence)
    with weights_from_checkpoint():
        built = build(config, command="predict")
    module: Any = built.module
    data = built.data
    if not isinstance(module, SupervisedModule) and not any_module:
        raise UserError(f"{type(module).__name__} is no SupervisedModule, so the meaning of its output is unknown.")
    module.on_load_checkpoint(content)
    module.load_state_dict(content["state_dict"])
    if getattr(module, "channels_last", False):
        module.network.to(memory_format=torch.channels_last)
    if isinstance(data, ImageDataModule):
        data.follow(module)
    state = content.get(type(data).__qualname__)
    if state is not None:
        data.load_state_dict(state)
    return TrainedNetwork(module.eval(), data, built.trainer, path, run_of(path), state)


def _set_class_names(config: Namespace, content: dict[str, Any]) -> None:
    """Give the data the checkpoint's classes, whatever lies in its folder now, unless the config names them."""
    names = content.get(KEY, {}).get("class_names")
    arguments = config.data.get("init_args", Namespace())
    if names and "class_names" in arguments and arguments.class_names is None:
        arguments.class_names = names


def _on_one_device(words: list[str], checkpoint: str) -> list[str]:
    """Add ONE_PROCESS after the config, so that it overrides the config's devices."""
    if "--config" in words[:1]:
        return [*words[:2], *ONE_PROCESS, *words[2:]]
    if any(word in ("-c", "--config") or word.startswith("--config=") for word in words):
        return [*words[:-2], *ONE_PROCESS, *words[-2:]]
    raise UserError(f"{checkpoint} is not in a run's folder and holds no config: give the config with -c.")
