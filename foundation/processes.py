"""Which of several processes this is, before and without torch."""

import gc
import hashlib
import os
import sys


def rank_of_process() -> int:
    """The number of this process in its run, by what torchrun, SLURM or Lightning's launcher have set; else 0.

    Lightning's launcher numbers the processes of a node only; on another node than the first the number is above 0,
    if not exact.
    """
    for name in ("RANK", "SLURM_PROCID"):
        if os.environ.get(name, "").isdigit() and (name == "RANK" or launched_by_slurm()):
            return int(os.environ[name])
    local = int(os.environ.get("LOCAL_RANK") or 0)
    node = int(os.environ.get("NODE_RANK") or os.environ.get("GROUP_RANK") or 0)
    return local + node


def launched_by_slurm() -> bool:
    """Whether `srun` started this process as one of several tasks; a shell within a job is not meant."""
    return (
        int(os.environ.get("SLURM_NTASKS") or 1) > 1 and "SLURM_PROCID" in os.environ and "SLURM_STEP_ID" in os.environ
    )


def launched_by_torchrun() -> bool:
    """Whether `torchrun` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_to_say(text: str) -> bool:
    """Whether no other process of the run has said this; also where that cannot be found out.

    The processes' own store counts; the process that holds it may be gone already.
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
    """` (rank 2)` where there are several processes, else nothing."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return f" (rank {dist.get_rank()})" if dist.get_world_size() > 1 else ""
    rank = rank_of_process()
    return f" (rank {rank})" if rank else ""


def say(line: str) -> None:
    """One line about something that was replaced, left out or passed over, on standard error; of several once."""
    if rank_of_process() == 0:
        print(line, file=sys.stderr, flush=True)


def end_process() -> None:
    """Destroy the process group, if there is one; for the end of a process that has done its work.

    A thread of gloo gives the tensors of an exchange back after it, and needs the interpreter's lock for that; where
    the interpreter is ending by then, torch aborts: exit code -6 and "terminate called without an active exception"
    after a run that was good. Destroying a group waits for its threads, and they for what is under way, which here is
    nothing. A process that fails ends without this: others may never answer it.
    """
    dist = sys.modules.get("torch.distributed")  # a command that trains nothing has not imported torch
    if dist is None or not dist.is_available() or not dist.is_initialized():
        return
    gc.collect()  # DDP holds the group in a circle of references; its threads live as long as anything holds it
    dist.destroy_process_group()
