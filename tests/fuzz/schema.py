"""The keys that the shipped configs take, from the signatures of the classes that they name."""

from functools import cache
from typing import Any

import yaml

from descent.config_errors.given import options, read_config
from descent.config_errors.tree import Tree
from descent.presets import SHIPPED
from descent.training.build import config_parser
from foundation.compat.signatures import parser_arguments

BASES = ("quickstart", "linear_regression", "regression", "binary", "multilabel", "segmentation", "gan")
PRESETS = (
    "--model.scheduler=schedulers/plateau.yaml", "--model.optimizer=optimizers/sgd_momentum.yaml",
    "--trainer.callbacks=callbacks/early_stopping.yaml", "--trainer.callbacks=callbacks/ema.yaml",
)  # fmt: skip
NEVER_CHANGED = (
    "config", "help", "trainer.default_root_dir", "trainer.fast_dev_run", "trainer.barebones", "val_dataloaders",
)  # fmt: skip
"""Values of these change where a run writes, or how long it takes."""
OF_CLASSES = (
    "network", "loss", "optimizer", "scheduler", "callbacks", "logger", "profiler", "plugins", "strategy", "data",
    "model", "generator", "discriminator", "augment", "augmentation",
)  # fmt: skip


@cache
def keys(base: str, preset: str = "") -> list[str]:
    """Return every key that a config takes, also those of the classes that it chooses."""
    tree = Tree(parser_arguments(config_parser("fit")))
    tree.merge(read_config(f"configs/{base}.yaml"))
    for option, text in options([preset] if preset else []):
        tree.set(option.lstrip("-"), read_config(str(text)))
    return [key for key in tree.all_keys() if key not in NEVER_CHANGED]


def class_keys(base: str, preset: str = "") -> list[str]:
    """Return the keys whose value is a class."""
    return [key for key in keys(base, preset) if key.rpartition(".")[2] in OF_CLASSES]


def content(base: str) -> dict[str, Any]:
    """Return a shipped config as a dictionary."""
    loaded: dict[str, Any] = yaml.safe_load((SHIPPED / f"{base}.yaml").read_text())
    return loaded


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return a config that holds one key.

    Example:
        >>> nested("model.optimizer.lr", 1)
        {'model': {'optimizer': {'lr': 1}}}
    """
    for part in reversed(key.split(".")):
        value = {part: value}
    found: dict[str, Any] = value
    return found
