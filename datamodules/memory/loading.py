"""The DataLoader of images in memory: whole batches, its own generator, workers that start with the right epoch."""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, DistributedSampler

from datamodules.memory.images import Batch, ImageDataset
from foundation.compat.lightning_messages import FEW_WORKERS


class ImageLoader(DataLoader[Batch]):
    """A DataLoader that starts its workers at the first batch and remembers which epoch it has started.

    Lightning calls ``iter(loader)`` before it tells the sampler the epoch of a resumed run. An ordinary loader with
    workers fetches ahead at once, in the order of epoch 0; as a generator, this one begins when the first is asked for.
    """

    started_epoch = -1

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        self.started_epoch = getattr(self.sampler, "epoch", -1)
        yield from super().__iter__()

    def state_dict(self) -> dict[str, Any]:
        """Empty: the position is in the DataModule's state. That this exists tells Lightning that resuming is safe."""
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
) -> ImageLoader:
    """Load batches of ``dataset`` in the order of ``sampler``.

    Args:
        dataset: Images in memory.
        sampler: The order, aware of ranks.
        batch_size: ≥ 1, of each rank.
        num_workers: ≥ 0; 0 is fastest for small images. The batches do not depend on it.
        pin_memory: Copy batches where a GPU fetches them while the host goes on; for CUDA alone.
        drop_last: Leave an incomplete last batch out.
    """
    if num_workers < 2:  # Lightning advises more; it cannot know that a batch is one copy within the memory
        warnings.filterwarnings("ignore", message=FEW_WORKERS)
    return ImageLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=_as_it_is,
        pin_memory=pin_memory,
        drop_last=drop_last,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(0),  # else each iter() draws a number from the global generator
    )


def _as_it_is(batch: Any) -> Any:
    return batch
