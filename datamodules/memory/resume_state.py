"""Resume state of a data module: position in the epoch, seed and normalisation, given or read from a checkpoint."""

import copy
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

from lightning.pytorch.utilities import rank_zero_warn

from datamodules.memory.normalisation import Statistics
from datamodules.memory.pruning.choice import SampleChoice


@dataclass(frozen=True)
class Position:
    """Position in an epoch: how many batches are done.

    Args:
        epoch: From 0; −1 before the first.
        batches: Batches of that epoch that each process has done.
        batch_size: Samples per batch and process.
        processes: Number of processes.

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
        """Return how many samples each process skips: all that are done, rounded down to whole batches."""
        done = self.batches * self.batch_size * self.processes
        return done // (batch_size * processes) * batch_size

    def mismatch(self, batch_size: int, processes: int) -> str | None:
        """Explain why resuming with these numbers is not exact, or return None if it is."""
        if self.batches == 0 or (self.batch_size, self.processes) == (batch_size, processes):
            return None
        return (
            f"The checkpoint was saved after {self.batches} batches of {self.batch_size} on {self.processes} "
            f"process(es); resuming with batches of {batch_size} on {processes} is not the same run: the samples that "
            "are done are skipped as nearly as whole batches allow."
        )


class RunState:
    """Seed, normalisation, position and choice of samples of a run.

    Arguments have priority over a checkpoint, which has priority over the run's seed and the statistics of the data.

    Args:
        seed: ≥ 0, or None if it was not given.
        statistics: Mean and standard deviation, or None if they were not given.
        samples: Chooses the samples of an epoch.
    """

    def __init__(self, seed: int | None, statistics: Statistics | None, samples: SampleChoice) -> None:
        self._given_seed, self.given_statistics, self.samples = seed, statistics, samples
        self._own_statistics: Statistics | None = None
        self.forget()

    def __copy__(self) -> Self:
        """Copy for a trial, which trains on every sample."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__, samples=copy.copy(self.samples))
        return copied

    def forget(self) -> None:
        """Drop what was loaded from a checkpoint, because a new run begins."""
        self.position = Position()
        self._loaded_seed: int | None = None
        self._loaded_statistics: Statistics | None = None
        self.samples.forget()

    def resume(self, batch_size: int, processes: int) -> tuple[int, int]:
        """Return the epoch in which the run resumes, and how many samples each process skips in it."""
        if mismatch := self.position.mismatch(batch_size, processes):
            rank_zero_warn(mismatch)
        return self.position.epoch, self.position.samples(batch_size, processes)

    @property
    def seed(self) -> int:
        """The given seed, else the checkpoint's, else that of ``seed_everything``, else 0."""
        for seed in (self._given_seed, self._loaded_seed):
            if seed is not None:
                return seed
        return int(os.environ.get("PL_GLOBAL_SEED", 0))

    def statistics(self, of_data: Callable[[], Statistics]) -> Statistics:
        """Return the given statistics, else the checkpoint's, else those of the data, which are computed once."""
        known = self.given_statistics or self._loaded_statistics or self._own_statistics
        if known is None:
            known = self._own_statistics = of_data()
        return known

    def state(self, position: Position, statistics: Statistics, split: str) -> dict[str, Any]:
        """Return a checkpoint's state: plain numbers and text, of a pruned run also tensors.

        Args:
            position: Where the run is.
            statistics: Mean and standard deviation that it normalises with.
            split: Hash of the rows of the validation set; empty if it is not open.
        """
        return {
            "position": asdict(position),
            "seed": self.seed,
            "mean": list(statistics.mean),
            "std": list(statistics.std),
            "split": split,
            **self.samples.state_dict(),
        }

    def load(self, state: dict[str, Any], split: str) -> None:
        """Load a checkpoint's state; warn where the seed or the split differ from those of this run."""
        self.position = Position(**state["position"])
        self.samples.load_state_dict(state)
        self._loaded_seed = state["seed"]
        self._loaded_statistics = Statistics(tuple(state["mean"]), tuple(state["std"]))
        if self._given_seed not in (None, self._loaded_seed):
            rank_zero_warn(
                f"data.seed is {self._given_seed}, the checkpoint's is {self._loaded_seed}: using data.seed, so the "
                "order of the images is not that of the uninterrupted run."
            )
        if split and state["split"] and split != state["split"]:
            rank_zero_warn(
                "The validation images are not those of the checkpoint's run (other images, val_share or "
                "split_seed): the network was trained on some of them, so their accuracy is too high."
            )
