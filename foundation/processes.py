"""The rank of this process, found without torch, and what only one process of a run says, progress among it."""

import gc
import hashlib
import os
import sys
import time

from foundation.terminal.folding import fitted

INTERVAL = 10.0
"""Seconds between two progress lines within a stage."""


def rank_of_process() -> int:
    """Return the rank of this process from what torchrun, SLURM or Lightning's launcher have set; else 0.

    Lightning's launcher sets the rank within a node only, so on any node but the first the result is above 0, but not
    exact.
    """
    for name in ("RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit() and (name == "RANK" or launched_by_slurm()):
            return int(os.environ[name])
    local = int(os.environ.get("LOCAL_RANK") or 0)
    node = int(os.environ.get("NODE_RANK") or os.environ.get("GROUP_RANK") or 0)
    return local + node


def launched_by_slurm() -> bool:
    """Return whether `srun` started this process as one of several tasks; False for a shell within a job."""
    return (
        int(os.environ.get("SLURM_NTASKS") or 1) > 1 and "SLURM_PROCID" in os.environ and "SLURM_STEP_ID" in os.environ
    )


def launched_by_torchrun() -> bool:
    """Return whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_to_say(text: str) -> bool:
    """Return whether no other process of the run has said this; True also where that cannot be found out.

    The store that the processes share counts; the process that holds it may have ended already.
    """
    import torch.distributed as dist

    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return True
    try:
        from foundation.compat.torch import processes_store

        key = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        return int(processes_store().add(f"said/{key}", 1)) == 1
    except RuntimeError:
        return True


def process_name() -> str:
    """Return ` (rank 2)` where there are several processes, else an empty string."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return f" (rank {dist.get_rank()})" if dist.get_world_size() > 1 else ""
    rank = rank_of_process()
    return f" (rank {rank})" if rank else ""


def say(line: str) -> None:
    """Print a line to standard error, from the first process only, folded to the terminal."""
    if rank_of_process() == 0:
        print(fitted(line, sys.stderr), file=sys.stderr, flush=True)


def end_process() -> None:
    """Destroy the process group, if there is one, at the end of a process that has succeeded.

    After an exchange a thread of gloo releases its tensors, and needs the interpreter's lock to do so. If the
    interpreter is ending by then, torch aborts with exit code -6 and "terminate called without an active exception",
    although the run succeeded. Destroying a group waits for its threads. A process that fails must not call this: the
    other processes may never answer.
    """
    dist = sys.modules.get("torch.distributed")  # a command that trains nothing has not imported torch
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return
    gc.collect()  # DDP holds the group in a circle of references; its threads live as long as anything holds it
    dist.destroy_process_group()


class ProgressLines:
    """Print a line at the start of each stage, and within a stage every ten seconds.

    Args:
        command: Begins each line.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.stage, self._last = "", time.monotonic()

    def start(self, stage: str) -> None:
        """Print that a stage begins."""
        self.stage, self._last = stage, time.monotonic()
        say(f"{self.command}: {stage}")

    def at(self, position: str) -> None:
        """Print where the stage is, unless a line was printed shortly before."""
        if time.monotonic() - self._last >= INTERVAL:
            self._last = time.monotonic()
            say(f"{self.command}: {self.stage}, {position}")
