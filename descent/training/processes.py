"""Set up a run of several processes: devices, guard, timeout, launcher."""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch
from jsonargparse import Namespace
from lightning.pytorch import Trainer

from callbacks.distributed.rank_guard import RankGuard
from callbacks.learning_rate.scaling import ScaledRate
from descent.training.connection_errors import timeout_seconds
from descent.training.launcher import WatchedLauncher
from foundation.compat.lightning import replace_script_launcher, set_process_timeout, shard_over_all_processes
from foundation.errors import UserError
from foundation.hardware import computes_on_cpu, devices_of, usable_cores
from foundation.processes import launched_by_torchrun


def as_list(given: Any) -> list[Any]:
    """Return plugins or callbacks as a list, also where a single one or none is given."""
    if given is None:
        return []
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def use_granted_threads() -> str | None:
    """Compute on as many threads as the container's quota of processor time allows; torch counts the cores.

    Returns:
        A line for the terminal; `None` if nothing was changed, as when `OMP_NUM_THREADS` is set.
    """
    threads, granted = torch.get_num_threads(), usable_cores()
    if "OMP_NUM_THREADS" in os.environ or threads <= granted:
        return None
    torch.set_num_threads(granted)
    return f"{granted} of {threads} threads compute: this container may use {granted} cores. OMP_NUM_THREADS sets it."


def with_launched_processes(flags: dict[str, Any]) -> dict[str, Any]:
    """Return a trainer's flags with `devices` and `num_nodes` as torchrun started them, unless they are given.

    Raises:
        UserError: They contradict torchrun, or ask for more processes on the CPU than it has cores.
    """
    devices, nodes = flags.get("devices", "auto"), flags.get("num_nodes", 1)
    if launched_by_torchrun():
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        all_nodes = int(os.environ["WORLD_SIZE"]) // local
        if count_of(devices) not in (None, local) or nodes not in (None, 1, all_nodes):
            raise UserError(
                f"torchrun has started {local} processes on each of {all_nodes} nodes, but the config has devices "
                f"{devices} and num_nodes {nodes}: remove both, torchrun sets them."
            )
        return flags | {"devices": local, "num_nodes": all_nodes}
    if computes_on_cpu(flags.get("accelerator", "auto")) and devices != "auto":
        check_cpu_processes(devices)
    return flags


def check_cpu_processes(devices: Any) -> None:
    """Check that the number of processes on the CPU is between 1 and the number of its cores.

    Raises:
        UserError: It is not, or it is -1 or a list, which choose among GPUs.
    """
    cores = usable_cores()
    count = int(devices) if str(devices).isdigit() else None
    if count is None or count < 1:
        raise UserError(
            f"trainer.devices on the CPU is a number of processes between 1 and the {cores} cores, got {devices}."
        )
    if count > cores:
        raise UserError(
            f"trainer.devices asks for {count} processes on the CPU, but this machine has {cores} cores: use at most "
            f"{cores}."
        )


def count_of(devices: Any) -> int | None:
    """Return how many devices a trainer's flag asks for; `None` for all that exist."""
    if isinstance(devices, str) and devices.lstrip("-").isdigit():
        devices = int(devices)
    if isinstance(devices, str):
        return None if devices == "auto" else len([part for part in devices.split(",") if part])
    if isinstance(devices, int):
        return None if devices == -1 else devices
    return len(devices) if isinstance(devices, Sequence) else None


def use_present_devices(trainer: Namespace, words: Sequence[str]) -> str | None:
    """Let a command that only uses a trained network run here, whatever devices the run had; say what was changed.

    The config of a run names the devices of the machine that trained it. Without a GPU the command runs on the CPU, and
    with fewer GPUs on those that exist.

    Args:
        trainer: The part `trainer` of the config; it is changed.
        words: The words of the command line; what is typed there stays.

    Returns:
        A sentence, or `None` if nothing was changed.
    """
    name, present = trainer.accelerator, devices_of(str(trainer.accelerator))
    typed = {word.partition("=")[0] for word in words}
    if present is None or "--trainer.accelerator" in typed:
        return None
    if present == 0:
        trainer.update(Namespace(accelerator="cpu", devices=1, num_nodes=1, strategy="auto"))
        return f"trainer.accelerator: the config asks for {name}, and this machine has no GPU: running on the CPU."
    devices = trainer.devices
    indices = [int(i) for i in devices.split(",") if i] if isinstance(devices, str) and "," in devices else devices
    highest = max(indices) + 1 if isinstance(indices, Sequence) and not isinstance(indices, str) else 0
    if "--trainer.devices" in typed or max(count_of(devices) or 0, highest) <= present:
        return None
    trainer.devices = min(count_of(devices) or 1, present)
    return f"trainer.devices: the config asks for {devices}, and this machine has {present}: using {trainer.devices}."


def use_fast_kernels(trainer: Namespace) -> str | None:
    """On CUDA let a new run use TF32 and cuDNN's fastest kernels, unless it chooses otherwise or is deterministic.

    Args:
        trainer: The part `trainer` of the config, which is changed, so that the saved config says what was used.

    Returns:
        A sentence, or `None` if nothing was changed.
    """
    if not devices_of("cuda") or trainer.accelerator not in ("auto", "gpu", "cuda") or trainer.deterministic:
        return None
    fast = {"float32_matmul_precision": "high", "benchmark": True}
    chosen = {name: value for name, value in fast.items() if trainer.get(name) is None}
    trainer.update(Namespace(**chosen))
    values = ", ".join(f"trainer.{name}: {str(value).lower()}" for name, value in chosen.items())
    return f"{values} (fast on this GPU; trainer.deterministic: true leaves both off)" if chosen else None


def prepare_processes(trainer: Trainer) -> None:
    """Add `RankGuard` and `ScaledRate` unless configured; set the timeout; replace Lightning's launcher.

    Raises:
        UserError: `DESCENT_TIMEOUT` is no number of seconds.
    """
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    guards = [callback for callback in callbacks if isinstance(callback, RankGuard)] or [RankGuard()]
    scaled = [] if any(isinstance(callback, ScaledRate) for callback in callbacks) else [ScaledRate("none")]
    others = [callback for callback in callbacks if callback not in guards]
    # The guard is first: it must find a difference before another callback waits for a process that does not answer.
    trainer.callbacks = [*guards, *scaled, *others]  # type: ignore[attr-defined]
    strategy: Any = trainer.strategy
    try:
        set_process_timeout(strategy, timedelta(seconds=timeout_seconds()))
    except ValueError as error:
        raise UserError(str(error)) from error
    shard_over_all_processes(strategy, trainer.world_size)
    replace_script_launcher(strategy, WatchedLauncher)
