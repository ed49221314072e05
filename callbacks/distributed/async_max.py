"""Asynchronous maximum of a number over all ranks, without making a device wait."""

import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

GRACE_SECONDS = 5.0


class AsyncMax:
    """The largest number over all ranks, known one call later.

    With several processes each call starts an all-reduce over the CPU's network (gloo) and reads the one of the call
    before, which has finished long ago: neither the device nor the process waits. With one process the result is the
    number itself.

    Args:
        distributed: Whether there are several processes; all of them create the object and call it equally often.
        timeout: How long one process waits for the others; `None` is torch's half an hour.

    Example:
        >>> maximum = AsyncMax()
        >>> maximum.reduce(0), maximum.reduce(15)
        (0, 15)
    """

    def __init__(self, distributed: bool = False, timeout: timedelta | None = None) -> None:
        # Without a timeout the group has torch's default, not that of the first group.
        self.group: Any = dist.new_group(backend="gloo", timeout=timeout) if distributed else None
        self.pending: tuple[Any, torch.Tensor] | None = None

    def reduce(self, number: int) -> int:
        """Contribute ``number`` ≥ 0; return the maximum of the call before."""
        if self.group is None:
            return number
        result = 0
        if self.pending is not None:
            work, tensor = self.pending
            work.wait()
            result = int(tensor)
        tensor = torch.tensor(number)
        self.pending = dist.all_reduce(tensor, dist.ReduceOp.MAX, self.group, async_op=True), tensor
        return result

    def close(self) -> None:
        """Wait for the last all-reduce and release the group: one that is pending at exit aborts the process."""
        if self.pending is not None:
            self.pending[0].wait()
        self.pending = self.group = None


def wait_briefly(work: Any, seconds: float = GRACE_SECONDS) -> None:
    """Give a collective some seconds to finish when a run fails; the other ranks may never send their part.

    One that finishes while the interpreter exits aborts the process, see `foundation.processes.end_process`.
    """
    until = time.monotonic() + seconds
    while not work.is_completed() and time.monotonic() < until:
        time.sleep(0.01)
