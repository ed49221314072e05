"""Which of several processes this is, before and without torch."""

import os


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
