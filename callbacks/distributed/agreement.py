"""Processes agree on a number without making a device wait."""

import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = 5.0  # seconds that a run that fails gives an exchange whose answer it does not need


class Agreement:
    """The largest number that any process has said, known to all of them one call later.

    With several processes each call starts a sum over the CPU's network and reads that of the call before, which has
    long been done: the device is not asked, and nobody waits. With one process it is the number itself.

    Args:
        several: Whether there are several processes; all of them make the object, and call it equally often.
        timeout: How long one waits for the others; `None` is torch's half an hour.

    Example:
        >>> agreement = Agreement()
        >>> agreement.largest(0), agreement.largest(15)
        (0, 15)
    """

    def __init__(self, several: bool = False, timeout: timedelta | None = None) -> None:
        # Without a timeout it has torch's own, not that of the processes' first group.
        self.group: Any = dist.new_group(backend="gloo", timeout=timeout) if several else None
        self.pending: tuple[Any, torch.Tensor] | None = None

    def largest(self, number: int) -> int:
        """Say ``number`` ≥ 0, hear the largest."""
        if self.group is None:
            return number
        answer = 0
        if self.pending is not None:
            work, said = self.pending
            work.wait()
            answer = int(said)
        mine = torch.tensor(number)
        self.pending = dist.all_reduce(mine, dist.ReduceOp.MAX, self.group, async_op=True), mine
        return answer

    def close(self) -> None:
        """Hear the last answer and let the group go; with others still to come, the process could not end in order."""
        if self.pending is not None:
            self.pending[0].wait()
        self.pending = self.group = None


def let_end(work: Any, seconds: float = PATIENCE) -> None:
    """Give an exchange a moment to end where a run fails: the others may have sent their part, or never will.

    One that ends while the interpreter does aborts the process, see `descent.training.processes`.
    """
    until = time.monotonic() + seconds
    while not work.is_completed() and time.monotonic() < until:
        time.sleep(0.01)
