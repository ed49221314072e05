"""Samplers: the order of the samples in training and evaluation, for each rank."""

from collections.abc import Iterator, Sized

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DistributedSampler, SequentialSampler

from foundation.counter_random import mix
from foundation.errors import UserError

_TRAINING, _EVALUATION = 0, 2  # random streams: one number for each kind of choice


class EpochOrder(DistributedSampler[int]):
    """New order of the training samples in each epoch; in a resumed epoch, samples that are done are skipped.

    Rank r of R gets every R-th sample of one common order. If R does not divide the number of samples, up to R − 1 of
    them are left out, different ones in each epoch: ranks with unequal numbers of batches would wait for each other for
    ever. It is a ``DistributedSampler`` because with several processes Lightning replaces any other sampler.

    Args:
        dataset: The samples; only their number is used.
        seed: ≥ 0; the same seed and epoch give the same order.
        num_replicas: Number of ranks R, ≥ 1.
        rank: r in [0, R).
        resume: ``(epoch, samples)``: in this epoch only, this rank skips its first ``samples``. The length stays that
            of the whole epoch, because Lightning's loop counts from the batch at which it resumes.

    Example:
        >>> order = EpochOrder(range(6), seed=1)
        >>> first, again = list(order), list(order)
        >>> order.set_epoch(1)
        >>> first == again, first == list(order), sorted(order)
        (True, False, [0, 1, 2, 3, 4, 5])
    """

    def __init__(
        self, dataset: Sized, seed: int, num_replicas: int = 1, rank: int = 0, resume: tuple[int, int] = (-1, 0)
    ) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=True, seed=seed, drop_last=True)  # type: ignore[arg-type]
        self.num_samples = len(dataset) // num_replicas
        self.resume = resume

    @property
    def shuffled_epoch(self) -> int:
        """The epoch whose order this is."""
        return int(self.epoch)

    def whole_epoch(self) -> Tensor:
        """Return the order of all ranks' samples, int64."""
        generator = torch.Generator().manual_seed(mix(self.seed, self.shuffled_epoch, _TRAINING))
        return torch.randperm(len(self.dataset), generator=generator)  # type: ignore[arg-type]

    def positions(self) -> Tensor:
        """Return what is left of the epoch as one tensor, int64."""
        own = self.whole_epoch()[self.rank :: self.num_replicas][: self.num_samples]
        epoch, samples = self.resume
        return own[samples if epoch == self.epoch else 0 :]

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions().tolist())


class RepeatedOrder(EpochOrder, SequentialSampler):
    """The order of the first epoch in every epoch, for ``overfit_batches``.

    The first batches of a run are a mixed sample. Lightning would replace every sampler that is no
    ``SequentialSampler`` by one, and the first images of a folder are all of one class.

    Example:
        >>> order = RepeatedOrder(range(6), seed=1)
        >>> first = list(order)
        >>> order.set_epoch(1)
        >>> first == list(order) == list(EpochOrder(range(6), seed=1))
        True
    """

    @property
    def shuffled_epoch(self) -> int:
        """The first."""
        return 0


class EvaluationOrder(DistributedSampler[int], SequentialSampler):
    """Each sample once, on exactly one rank; nothing is repeated to make the ranks equal.

    The ranks may differ by one batch, so a step must not wait for the other ranks; sums are combined at the end of the
    epoch. It is a ``SequentialSampler`` because with ``overfit_batches`` Lightning replaces any other sampler.

    Args:
        dataset: The samples; only their number is used.
        num_replicas: Number of ranks R, ≥ 1.
        rank: r in [0, R).
        shuffled: Whether to shuffle, always in the same way, so that the first batches represent all samples
            (``limit_val_batches``) even if a folder lists them class by class.

    Example:
        >>> [list(EvaluationOrder(range(5), 2, rank)) for rank in range(2)]
        [[0, 2, 4], [1, 3]]
    """

    def __init__(self, dataset: Sized, num_replicas: int = 1, rank: int = 0, shuffled: bool = False) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.shuffled = shuffled
        self.num_samples = len(range(rank, len(dataset), num_replicas))

    def positions(self) -> Tensor:
        """Return all positions of this rank as one tensor, int64."""
        count = len(self.dataset)  # type: ignore[arg-type]
        if not self.shuffled:
            return torch.arange(self.rank, count, self.num_replicas)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(mix(0, _EVALUATION)))
        return order[self.rank :: self.num_replicas]

    def __iter__(self) -> Iterator[int]:
        return iter(self.positions().tolist())


def training_order(
    dataset: Sized, seed: int, world: tuple[int, int], resume: tuple[int, int], trainer: Trainer | None
) -> EpochOrder:
    """Return the order of the training set: a new one in each epoch, with the trainer's ``overfit_batches`` always one.

    Args:
        dataset: The samples; only their number is used.
        seed: See :class:`EpochOrder`.
        world: Number of processes, and the rank of this one.
        resume: See :class:`EpochOrder`.
        trainer: The trainer, if there is one.
    """
    repeated = trainer is not None and getattr(trainer, "overfit_batches", 0) > 0
    return (RepeatedOrder if repeated else EpochOrder)(dataset, seed, *world, resume)


def evaluation_order(dataset: Sized, name: str, world: tuple[int, int], shuffled: bool) -> EvaluationOrder:
    """Return the order of an evaluation set.

    Args:
        dataset: The samples; only their number is used.
        name: Of the set, for the message.
        world: Number of processes, and the rank of this one.
        shuffled: See :class:`EvaluationOrder`.

    Raises:
        UserError: If a process would have no sample.
    """
    processes, rank = world
    if len(dataset) < processes:
        raise UserError(
            f"{len(dataset)} {name} images cannot be divided among {processes} processes: use fewer devices."
        )
    return EvaluationOrder(dataset, processes, rank, shuffled)
