"""What the batches of a run depend on besides the images: given, or taken over from a checkpoint, or from the run."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from datamodules.memory.normalisation import Statistics


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


class RunState:
    """Seed, normalisation and position; an argument beats a checkpoint, which beats the run's seed and the data's mean.

    Args:
        seed: ≥ 0, if it was given.
        statistics: If they were given.
    """

    def __init__(self, seed: int | None, statistics: Statistics | None) -> None:
        self._given_seed, self.given_statistics = seed, statistics
        self._own_statistics: Statistics | None = None
        self.forget()

    def forget(self) -> None:
        """Drop what came from a checkpoint: a run begins."""
        self.position = Position()
        self._loaded_seed: int | None = None
        self._loaded_statistics: Statistics | None = None

    @property
    def seed(self) -> int:
        """The one given, else the checkpoint's, else that of ``seed_everything``, else 0."""
        for seed in (self._given_seed, self._loaded_seed):
            if seed is not None:
                return seed
        return int(os.environ.get("PL_GLOBAL_SEED", 0))

    def statistics(self, of_data: Callable[[], Statistics]) -> Statistics:
        """Those given, else the checkpoint's, else those of the data, which are asked for once."""
        known = self.given_statistics or self._loaded_statistics or self._own_statistics
        if known is None:
            known = self._own_statistics = of_data()
        return known

    def state(self, position: Position, statistics: Statistics, split: str) -> dict[str, Any]:
        """For a checkpoint: plain numbers and text.

        Args:
            position: Where the run stands.
            statistics: What it normalises with.
            split: A digest of which images are for validation; empty if it is not known.
        """
        return {
            "position": position.state(),
            "seed": self.seed,
            "mean": list(statistics.mean),
            "std": list(statistics.std),
            "split": split,
        }

    def load(self, state: dict[str, Any], split: str) -> None:
        """Take over what a checkpoint says; what is kept against it, and matters, is said in a line."""
        self.position = Position(**state["position"])
        self._loaded_seed = state["seed"]
        self._loaded_statistics = Statistics(tuple(state["mean"]), tuple(state["std"]))
        if self._given_seed not in (None, self._loaded_seed):
            rank_zero_warn(
                f"data.seed is {self._given_seed}, the checkpoint's {self._loaded_seed}: going on with the one given; "
                "the order of the images is not that of the uninterrupted run."
            )
        if split and state["split"] and split != state["split"]:
            rank_zero_warn(
                "The validation images are not those of the checkpoint's run (other images, val_share or "
                "split_seed): some were trained on, so that the accuracy on them says too much."
            )
