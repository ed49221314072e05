"""Where in an epoch a run stands, in a form that a checkpoint keeps and another run may ask."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Position:
    """What is done of an epoch.

    Args:
        epoch: From 0; −1 before the first.
        batches: Done in that epoch, by each process.
        batch_size: Of each process.
        processes: How many there are.

    Example:
        >>> Position(epoch=3, batches=10, batch_size=50, processes=2).samples(batch_size=50, processes=2)
        500
        >>> Position(epoch=3, batches=10, batch_size=50, processes=2).samples(batch_size=300, processes=1)
        900
    """

    epoch: int = -1
    batches: int = 0
    batch_size: int = 0
    processes: int = 1

    def samples(self, batch_size: int, processes: int) -> int:
        """How many samples each process leaves out: all that are done, rounded down to whole batches."""
        done = self.batches * self.batch_size * self.processes
        return done // (batch_size * processes) * batch_size

    def fits(self, batch_size: int, processes: int) -> bool:
        """Whether going on with these numbers is exact."""
        return self.batches == 0 or (self.batch_size, self.processes) == (batch_size, processes)

    def misfit(self, batch_size: int, processes: int) -> str:
        """What to say where it is not."""
        return (
            f"The checkpoint stands after {self.batches} batches of {self.batch_size} on {self.processes} process(es); "
            f"going on with batches of {batch_size} on {processes} is not the same run: what is done is left out as "
            "nearly as whole batches allow."
        )

    def state(self) -> dict[str, Any]:
        """Plain numbers, for a checkpoint."""
        return asdict(self)
