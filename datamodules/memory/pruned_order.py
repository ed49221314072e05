"""The order of the epochs of a pruned run."""

from collections.abc import Sized
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

from datamodules.augmentations.base import Augmentation
from datamodules.memory.images import ImageDataset
from datamodules.memory.order import EpochOrder, training_order
from datamodules.memory.pruning.choice import SampleChoice
from datamodules.memory.pruning.method import Pruning
from datamodules.memory.resume_state import RunState
from foundation.errors import UserError


class PrunedOrder(EpochOrder):
    """The order of the epochs of a pruned run: that of :class:`EpochOrder` without the samples that are left out.

    Args:
        dataset: The training samples.
        seed: See :class:`EpochOrder`.
        num_replicas: See :class:`EpochOrder`.
        rank: See :class:`EpochOrder`.
        resume: See :class:`EpochOrder`.
        samples: Chooses the samples of an epoch.
    """

    def __init__(
        self, dataset: Sized, seed: int, num_replicas: int, rank: int, resume: tuple[int, int], samples: SampleChoice
    ) -> None:
        super().__init__(dataset, seed, num_replicas, rank, resume)
        assert samples.pruning is not None
        self.samples, self.kept = samples, samples.pruning.kept(len(dataset))
        self.num_samples = self.kept // num_replicas

    def whole_epoch(self) -> Tensor:
        """Return the samples that the epoch has.

        Raises:
            UserError: The run is resumed within an epoch that had other samples.
        """
        order, within = super().whole_epoch(), self.resume[0] == self.epoch and self.resume[1] > 0
        if within and self.samples.epoch != self.epoch:
            raise self.other_samples()
        there = self.samples.of_epoch(int(self.epoch), self.seed)
        order = order[there[order]]
        if len(order) != self.kept:
            raise self.other_samples()
        self.samples.own(order[self.rank :: self.num_replicas][: self.num_samples])
        return order

    def other_samples(self) -> UserError:
        """Return the error that the checkpoint is of an epoch with other samples."""
        return UserError(
            f"The checkpoint was saved within epoch {int(self.epoch) + 1}, with another data.pruning.ratio: resume "
            "with that ratio, or from a checkpoint of the end of an epoch."
        )


def order_of_run(
    run: RunState,
    dataset: ImageDataset,
    world: tuple[int, int],
    trainer: Trainer | None,
    batch_size: int,
    augmentation: Augmentation | None,
) -> EpochOrder:
    """Return the order of the training set, without the samples that the epochs of a pruned run leave out.

    Args:
        run: Seed, position and choice of samples.
        dataset: The training samples.
        world: Number of processes, and the rank of this one.
        trainer: The trainer, if there is one.
        batch_size: Samples per batch and process.
        augmentation: Of the training batches; one that mixes images does so only in epochs that are not pruned.

    Raises:
        UserError: The run cannot be pruned.
    """
    resume, samples = run.resume(batch_size, world[0]), run.samples
    if samples.pruning is None:
        return training_order(dataset, run.seed, world, resume, trainer)
    trainer = checked(trainer, samples.pruning)
    order = PrunedOrder(dataset, run.seed, *world, resume, samples)
    samples.start(dataset, trainer, max(order.num_samples // batch_size, 1), getattr(augmentation, "mixes", False))
    return order


def checked(trainer: Trainer | None, pruning: Pruning) -> Trainer:
    """Return the trainer if it and its module can train a pruned run.

    Raises:
        UserError: They cannot.
    """
    way = "remove data.pruning"
    if trainer is None:
        raise UserError(f"data.pruning needs a Trainer, whose module weighs the samples: use one, or {way}.")
    module: Any = trainer.lightning_module
    if not getattr(module, "weighs_samples", False):
        raise UserError(
            f"data.pruning is {pruning.ratio:g}, but {type(module).__name__} does not weigh the samples of a batch: "
            f"{way}, or use a task of lightning_modules with its own training_step."
        )
    if getattr(trainer, "overfit_batches", 0) > 0:
        raise UserError(f"trainer.overfit_batches trains on the same batches in each epoch: {way} or that flag.")
    return trainer
