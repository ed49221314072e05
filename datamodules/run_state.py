"""What the batches of a run depend on besides the pictures: given, or taken over from a checkpoint, or from the run."""

import os
from collections.abc import Callable
from typing import Any

from lightning.pytorch.utilities import rank_zero_warn

from datamodules.normalisation import Statistics
from datamodules.position import Position


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
            split: A digest of which pictures are for validation; empty if it is not known.
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
                "the order of the pictures is not that of the uninterrupted run."
            )
        if split and state["split"] and split != state["split"]:
            rank_zero_warn(
                "The validation pictures are not those of the checkpoint's run (other pictures, val_share or "
                "split_seed): some were trained on, so that the accuracy on them says too much."
            )
