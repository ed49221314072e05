"""The choice of samples in a pruned run: the losses seen so far, the order of an epoch, weights, resume state."""

import math
from collections.abc import Callable
from typing import Any, Self

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor

from datamodules.memory.images import ImageDataset
from datamodules.memory.loading import run_length
from datamodules.memory.pruning.method import OUT, Pruning
from foundation.errors import UserError
from foundation.hardware import on_device

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over the processes."""


class SampleChoice:
    """Which samples each epoch of a run trains on, and with what weights; a data module has one.

    The losses stay on the device, one float32 a sample, and come to the host once an epoch, when the next one is
    chosen. The choice of the running epoch is kept, one byte a sample, so that a run can resume within the epoch.

    Args:
        pruning: How to choose; None, or a ratio of 0, trains on every sample.
    """

    def __init__(self, pruning: Pruning | None) -> None:
        self.pruning = pruning if pruning is not None and pruning.ratio > 0 else None
        self.forget()

    def forget(self) -> None:
        """Drop losses and choice, because a new run begins."""
        self.epoch = -1  # of the choice
        self.mixes = False
        self._phases: tuple[float, float] = (0, math.inf)
        self._rows = torch.empty(0, dtype=torch.int64)  # of the training samples
        self._own: Tensor | None = None  # those that this process trains on in this epoch
        self._losses = self._choice = self._weights = torch.empty(0)  # by row, on the device
        self._loaded: dict[str, Any] | None = None
        self._reduce: Reduce | None = None
        self._said = ""

    def __copy__(self) -> Self:
        """Return one that trains on every sample: for trials, whose batches must not change the losses."""
        return type(self)(None)

    # -- the order of the epochs ---------------------------------------------------------------------------------------

    def start(self, dataset: ImageDataset, trainer: Trainer, batches: int, mixes: bool) -> None:
        """Begin, or continue, a run.

        Args:
            dataset: The training samples.
            trainer: The trainer.
            batches: Number of batches in an epoch of one process.
            mixes: Whether the augmentation mixes images; a mixed image has no loss of its own.

        Raises:
            UserError: The length of the run is not known.
        """
        assert self.pruning is not None
        epochs = run_length(trainer, limited(batches, trainer.limit_train_batches))
        if epochs is None and (self.pruning.warmup or self.pruning.annealing):
            raise UserError(
                "data.pruning.warmup and annealing are shares of the run, whose length is not known: set "
                "trainer.max_epochs or trainer.max_steps, or both shares to 0."
            )
        self._phases, self.mixes = self.pruning.phases(epochs), mixes
        self._reduce = _sum_over(trainer) if trainer.world_size > 1 else None
        if self._rows is not dataset.rows:
            self._rows = dataset.rows
            self._losses = torch.full((len(dataset.images.targets),), torch.inf)
            self._choice = torch.zeros(len(self._losses), dtype=torch.int8)
            self._weights = self.pruning.weights(len(self._rows))
            self._restore()
        self._say(epochs)

    def _restore(self) -> None:
        state, self._loaded = self._loaded, None
        if state is None:
            return
        if len(state["losses"]) != len(self._rows):
            rank_zero_warn(
                f"The checkpoint has the losses of {len(state['losses']):,} samples, the data has {len(self._rows):,} "
                "training samples: data.pruning begins without losses."
            )
            return
        self._losses[self._rows], self._choice[self._rows] = state["losses"], state["choice"]
        self.epoch = state["epoch"]

    def _say(self, epochs: float | None) -> None:
        assert self.pruning is not None
        (first, last), total = self._phases, len(self._rows)
        phases = f"from epoch {first + 1} on" if epochs is None else f"in the epochs {first + 1} to {last}"
        if last <= first:
            phases = "in none of the few epochs"
        mixing = " Images are mixed in the other epochs only." if self.mixes else ""
        text = (
            f"data.pruning: each epoch trains on {self.pruning.kept(total):,} of {total:,} samples, chosen by their "
            f"losses {phases}, else in turn.{mixing}"
        )
        if text != self._said:
            self._said = text
            rank_zero_info(text)

    def prunes(self, epoch: int) -> bool:
        """Return whether the samples of an epoch are chosen by their losses; none of its images may be mixed then."""
        return self.pruning is not None and self._phases[0] <= epoch < self._phases[1]

    def of_epoch(self, epoch: int, seed: int) -> Tensor:
        """Choose the samples of an epoch, unless they are chosen; bool ``(N,)`` by position in the data set.

        With several processes all of them must call it: their losses are combined.
        """
        assert self.pruning is not None
        if epoch == self.epoch:
            return self._choice.cpu()[self._rows] != OUT
        self._combine()
        losses = self._losses.cpu()[self._rows]
        if self.prunes(epoch) and losses.isfinite().any():
            chosen = self.pruning.choose(losses, seed, epoch)
        else:
            chosen = self.pruning.in_turn(len(losses), seed, epoch)
        choice = torch.zeros(len(self._losses), dtype=torch.int8)
        choice[self._rows] = chosen
        self._choice, self.epoch = on_device(choice, self._losses.device), epoch
        return chosen != OUT

    def own(self, positions: Tensor) -> None:
        """Note the positions that this process trains on in this epoch."""
        self._own = self._rows[positions] if self._reduce is not None else None

    def _combine(self) -> None:
        """Give each process the losses of all of them."""
        if self._reduce is None or self._own is None:
            return
        own = on_device(self._own, self._losses.device)
        known = torch.zeros(2, len(self._losses), device=self._losses.device)
        known[0, own], known[1, own] = self._losses[own], 1.0
        values, there = self._reduce(known).to(self._losses.device)
        self._losses = torch.where(there > 0, values, self._losses)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def weighed(self, rows: Tensor, epoch: int) -> tuple[Tensor, ...]:
        """Return what a training batch gets in addition: the weights of its samples ``(B,)``, and their rows ``(B,)``.

        Nothing where every sample counts 1 and no loss is needed: in the last epochs, and where images are mixed.

        Args:
            rows: Of the batch, on its device.
            epoch: Of the batch.

        Raises:
            UserError: The batch is not in the order of this run: an iterable data set, or a loader of one's own.
        """
        if self.pruning is None:
            return ()
        if self.epoch != epoch:
            raise UserError(
                "data.pruning chooses samples by their number, but the training batches come from another loader than "
                "that of ImageDataModule (an iterable data set?): remove data.pruning."
            )
        if not self.prunes(epoch) and (self.mixes or epoch >= self._phases[1]):
            return ()
        if self._losses.device != rows.device:
            self._losses, self._choice, self._weights = (
                on_device(part, rows.device) for part in (self._losses, self._choice, self._weights)
            )
        return self._weights.index_select(0, self._choice.index_select(0, rows).int()), rows

    def record(self, rows: Tensor, losses: Tensor) -> None:
        """Remember the losses of a step's samples; both ``(B,)``, on the device."""
        self._losses.index_copy_(0, rows, losses.detach().to(self._losses.dtype))

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return losses and choice by position in the data set, 5 bytes a sample; nothing of a run without pruning."""
        if self.pruning is None or not len(self._rows):
            return {}
        self._combine()
        losses, choice = (part.cpu()[self._rows] for part in (self._losses, self._choice))
        return {"pruning": {"losses": losses, "choice": choice, "epoch": self.epoch}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what a checkpoint's state has of it; it is used when the data set is known."""
        self._loaded = state.get("pruning") if self.pruning is not None else None
        if len(self._rows):
            self._restore()


def limited(batches: int, limit: float | None) -> int:
    """Return the number of batches in an epoch under ``trainer.limit_train_batches``.

    Example:
        >>> limited(10, None), limited(10, 3), limited(10, 0.5)
        (10, 3, 5)
    """
    if limit is None:
        return batches
    return max(min(batches, limit) if isinstance(limit, int) else int(batches * limit), 1)


def _sum_over(trainer: Trainer) -> Reduce:
    strategy = trainer.strategy
    return lambda values: strategy.reduce(values.to(strategy.root_device), reduce_op="sum")  # type: ignore[return-value]
