"""In which order samples come: a pure function of (seed, epoch), shared out to the ranks, resumed by skipping."""

from collections.abc import Iterator, Sized

import torch
from torch.utils.data import DistributedSampler

from foundation.counter_random import mix

_ORDER = 0  # the stream of random numbers that orders the samples; the augmentations have streams of their own
_EVALUATION = 2


class EpochOrder(DistributedSampler[int]):
    """A new order of the training samples in each epoch; what is done of a resumed epoch is skipped.

    Rank r of R gets every R-th sample of one common order. Where R does not divide the number of samples, up to
    R − 1 of them sit out, other ones in each epoch: ranks with unequal batches would wait for each other for ever.
    It is a ``DistributedSampler`` because Lightning replaces any other sampler when there are several processes.

    Args:
        dataset: Whose samples; only its length is used.
        seed: ≥ 0; the same seed and epoch give the same order.
        num_replicas: Number of ranks R, ≥ 1.
        rank: r in [0, R).
        resume: ``(epoch, samples)``: in that epoch, and in no other, this rank leaves out its first ``samples``. The
            length stays that of the whole epoch, as Lightning's loop, which counts from the batch it resumes at, needs.

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

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(mix(self.seed, self.epoch, _ORDER))
        order = torch.randperm(len(self.dataset), generator=generator)  # type: ignore[arg-type]
        mine = order[self.rank :: self.num_replicas][: self.num_samples]
        epoch, samples = self.resume
        return iter(mine[samples if epoch == self.epoch else 0 :].tolist())


class PlainOrder(DistributedSampler[int]):
    """Each sample once, on exactly one rank: nothing is repeated to make the ranks equal.

    The ranks may differ by one batch, so a step must not wait for the other ranks; sums are joined at the epoch's end.

    Args:
        dataset: Whose samples; only its length is used.
        num_replicas: Number of ranks R, ≥ 1.
        rank: r in [0, R).
        mixed: In one order, always the same, instead of as they lie: the first batches then stand for all, where a
            folder has them class by class (``limit_val_batches``, a batch to look at).

    Example:
        >>> [list(PlainOrder(range(5), 2, rank)) for rank in range(2)]
        [[0, 2, 4], [1, 3]]
    """

    def __init__(self, dataset: Sized, num_replicas: int = 1, rank: int = 0, mixed: bool = False) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=False)  # type: ignore[arg-type]
        self.mixed = mixed
        self.num_samples = len(range(rank, len(dataset), num_replicas))

    def __iter__(self) -> Iterator[int]:
        count = len(self.dataset)  # type: ignore[arg-type]
        if not self.mixed:
            return iter(range(self.rank, count, self.num_replicas))
        order = torch.randperm(count, generator=torch.Generator().manual_seed(mix(0, _EVALUATION)))
        return iter(order[self.rank :: self.num_replicas].tolist())
