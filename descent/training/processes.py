"""What a run of several processes has beside that of one: a guard, a stated timeout, a word about the global batch."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lightning.pytorch import Trainer

from callbacks.distributed.rank_guard import RankGuard
from callbacks.learning_rate.scaling import ScaledRate
from descent.training.connection_errors import timeout_seconds
from descent.training.launcher import WatchedLauncher
from foundation.compat.lightning import replace_script_launcher, set_process_timeout, shard_over_all_processes
from foundation.errors import UserError
from foundation.processes import launched_by_torchrun


def listed(plugins: Any) -> list[Any]:
    """Plugins as a list, however they were given."""
    if plugins is None:
        return []
    return list(plugins) if isinstance(plugins, Sequence) and not isinstance(plugins, str) else [plugins]


def with_launched_processes(flags: dict[str, Any]) -> dict[str, Any]:
    """A trainer's flags, with `devices` and `num_nodes` from torchrun where they are not given.

    Raises:
        UserError: They contradict what torchrun has started, or there are not as many cores.
    """
    devices, nodes = flags.get("devices", "auto"), flags.get("num_nodes", 1)
    if launched_by_torchrun():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        all_nodes = int(os.environ["WORLD_SIZE"]) // local
        if count_of(devices) not in (None, local) or nodes not in (None, 1, all_nodes):
            raise UserError(
                f"torchrun has started {local} processes on each of {all_nodes} nodes, the config says devices "
                f"{devices} and num_nodes {nodes}: leave both out, torchrun decides them."
            )
        return flags | {"devices": local, "num_nodes": all_nodes}
    count, cores = count_of(devices), os.cpu_count() or 1
    if flags.get("accelerator") == "cpu" and count is not None and count > cores:
        raise UserError(
            f"trainer.devices asks for {count} processes on the CPU, this machine has {cores} cores: at most {cores}."
        )
    return flags


def count_of(devices: Any) -> int | None:
    """How many devices a trainer's flag names; `None` for all there are."""
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if isinstance(devices, str):
        return None if devices == "auto" else len([part for part in devices.split(",") if part])
    if isinstance(devices, int):
        return None if devices == -1 else devices
    return len(devices) if isinstance(devices, Sequence) else None


def prepare_processes(trainer: Trainer) -> None:
    """Add the guard and the word about the rate unless configured; state the timeout; watch what Lightning starts.

    Raises:
        UserError: `DESCENT_TIMEOUT` is no number of seconds.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    guards = [callback for callback in callbacks if isinstance(callback, RankGuard)] or [RankGuard()]
    scaled = [] if any(isinstance(callback, ScaledRate) for callback in callbacks) else [ScaledRate("none")]
    others = [callback for callback in callbacks if callback not in guards]
    # The guard first: it sees what differs before another callback waits for a process that does something else.
    trainer.callbacks = [*guards, *scaled, *others]  # type: ignore[attr-defined]
    strategy: Any = trainer.strategy
    try:
        set_process_timeout(strategy, timedelta(seconds=timeout_seconds()))
    except ValueError as error:
        raise UserError(str(error)) from error
    shard_over_all_processes(strategy, trainer.world_size)
    replace_script_launcher(strategy, WatchedLauncher)
