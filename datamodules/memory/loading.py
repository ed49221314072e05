"""DataLoader of images in memory: it resumes in the right epoch and does not use the global random generator."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, DistributedSampler

from datamodules.memory.images import Batch, ImageDataset
from foundation.compat.lightning_messages import FEW_WORKERS
from foundation.errors import UserError


class ImageLoader(DataLoader[Batch]):
    """A DataLoader that starts its workers when the first batch is asked for, and knows the epoch it has started.

    Lightning calls ``iter(loader)`` before it tells the sampler the epoch of a resumed run. An ordinary loader with
    workers would start fetching at once, in the order of epoch 0. ``__iter__`` is a generator, so it starts later.
    """

    started_epoch = -1

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self.started_epoch = getattr(self.sampler, "epoch", -1)
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state, which tells Lightning that the loader resumes; the data module keeps the position."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Do nothing, see :meth:`state_dict`."""


def image_loader(
    dataset: ImageDataset,
    sampler: DistributedSampler[int],
    batch_size: int,
    num_workers: int = 0,
    pin_memory: bool = False,
    drop_last: bool = False,
    kind: type[ImageLoader] = ImageLoader,
) -> ImageLoader:
    """Build a loader of ``dataset`` in the order of ``sampler``.

    Args:
        dataset: Images in memory.
        sampler: The order of the samples of this rank.
        batch_size: Images per batch and rank, ≥ 1.
        num_workers: Processes that fetch batches, ≥ 0; 0 is fastest for small images. The batches do not depend on it.
        pin_memory: Copy batches to pinned memory, from which a CUDA device fetches them asynchronously.
        drop_last: Leave out an incomplete last batch.
        kind: Class of the loader.
    """
    if num_workers < 2:  # Lightning recommends more; it cannot know that a batch is one copy within memory
        _expect_few_workers()
    return kind(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=_identity,
        pin_memory=pin_memory,
        drop_last=drop_last,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(0),  # else each iter() draws a number from the global generator
    )


def _expect_few_workers() -> None:
    """Silence the warning, if it is not: each change of the filters makes Python repeat warnings that it has given."""
    patterns = [getattr(pattern, "pattern", None) for _, pattern, *_ in warnings.filters]
    if FEW_WORKERS not in patterns:  # also where `warnings.catch_warnings` has restored the filters of before
        warnings.filterwarnings("ignore", message=FEW_WORKERS)


def _identity(batch: Any) -> Any:
    return batch


def run_length(trainer: Trainer | None, batches: int) -> float | None:
    """Return the length of a run in epochs of so many batches; None if it is not known or the run has no end."""
    if trainer is None:
        return None
    limits: list[float] = []
    if trainer.max_epochs not in (None, -1):
        limits.append(float(trainer.max_epochs))
    if trainer.max_steps != -1:
        limits.append(trainer.max_steps * trainer.accumulate_grad_batches / batches)
    return min(limits, default=None)


def check_batch_size(batch_size: int, samples: int, processes: int) -> None:
    """Raise UserError if a process has fewer training samples than a batch."""
    if batch_size > samples:
        each = f" for each of {processes} processes" if processes > 1 else ""
        raise UserError(
            f"batch_size {batch_size} is larger than the training data, {samples} images{each}: "
            f"set it to at most {samples}."
        )
