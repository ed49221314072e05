"""Flags of the Trainer that contradict each other, or that would leave a run waiting or without a result."""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lsf import LSFEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from foundation.errors import UserError
from foundation.processes import launched_by_torchrun


def check_flags(flags: Mapping[str, Any]) -> None:
    """Check flags of a Trainer against each other.

    Args:
        flags: Keyword arguments of the Trainer.

    Raises:
        UserError: A least length is above the greatest, further nodes could never be reached, or a flag has no effect.
    """
    for unit in ("epochs", "steps"):
        least, most = flags.get(f"min_{unit}"), flags.get(f"max_{unit}")
        if least is not None and most is not None and 0 <= most < least:
            raise UserError(
                f"trainer.min_{unit} {least} is above trainer.max_{unit} {most}, where training ends in any case: "
                "change one of the two."
            )
    if flags.get("model_registry"):
        raise UserError(
            "trainer.model_registry uploads what a checkpoint callback of the package litmodels saves, which a run of "
            "Descent does not have: upload checkpoints/best.ckpt when the run has ended."
        )
    if flags.get("profiler") == "xla" and find_spec("torch_xla") is None:
        raise UserError(
            "trainer.profiler xla needs the package torch_xla, which is not installed: use simple, advanced or "
            "pytorch, or descent profile."
        )
    check_nodes(flags.get("num_nodes") or 1, flags.get("plugins"))


def check_nodes(nodes: int, plugins: Any) -> None:
    """Check that a run on several nodes knows where the first one is: it would wait for them half an hour.

    Args:
        nodes: Number of nodes, ≥ 1.
        plugins: The Trainer's plugins; a cluster environment among them knows the nodes.

    Raises:
        UserError: Neither torchrun, a cluster nor `MASTER_ADDR` says where the nodes are.
    """
    given = plugins if isinstance(plugins, list) else [plugins]
    launched = launched_by_torchrun() or SLURMEnvironment.detect() or LSFEnvironment.detect()
    if nodes == 1 or launched or "MASTER_ADDR" in os.environ or any(isinstance(p, ClusterEnvironment) for p in given):
        return
    raise UserError(
        f"trainer.num_nodes is {nodes}, but nothing says where the other nodes are: start the run with torchrun or "
        "srun (docs/scaling.md), or set MASTER_ADDR, MASTER_PORT and NODE_RANK on each node."
    )


def check_that_it_trains(trainer: Mapping[str, Any]) -> None:
    """Check that `descent fit` would train and leave a result.

    Args:
        trainer: The `trainer` part of the config.

    Raises:
        UserError: The flags leave no batch to train on, or turn off everything that a run leaves.
    """
    if trainer.get("barebones"):
        raise UserError(
            "trainer.barebones turns off logs, metrics and checkpoints, so a fit would leave nothing: measure the "
            "speed of a training step with descent profile."
        )
    if trainer.get("fast_dev_run"):
        return
    lengths = ("max_epochs", "max_steps", "limit_train_batches")
    nothing = [f"trainer.{name} 0" for name in lengths if trainer.get(name) == 0]
    if nothing:
        raise UserError(
            f"{' and '.join(nothing)} trains nothing: descent validate measures a network without training it, "
            "--print_config only checks the config."
        )
