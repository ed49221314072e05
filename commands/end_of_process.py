"""End what connects a process to the others, before its interpreter ends."""

import gc
import sys


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
