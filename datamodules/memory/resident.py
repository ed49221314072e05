"""Data that stays on the device: a copy of a data set there, from which batches are gathered without the host."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.utils.data import BatchSampler

from datamodules.memory.images import Batch, ImageDataset
from datamodules.memory.loading import ImageLoader, image_loader
from datamodules.memory.order import EpochOrder, EvaluationOrder
from foundation.errors import UserError
from foundation.hardware import on_device

Setting = bool | Literal["auto"]

SHARE = 0.25
"""Share of the device's free memory that ``auto`` uses at most: the rest is for the network and its activations."""

CHUNK = 1 << 26
"""Bytes that are copied to the device at a time, so that memory-mapped images are never all in host memory."""


class ResidentDataset(ImageDataset):
    """Rows of an :class:`~datamodules.memory.images.ImageDataset`, copied to a device; its batches are made there.

    The batches are those of the original, bit for bit.

    Args:
        dataset: The original; its images stay where they are.
        device: Where the copy is.

    Example:
        >>> from datamodules.memory.images import Images
        >>> images = Images(torch.zeros(4, 2, 2, 3, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
        >>> resident = ResidentDataset(ImageDataset(images, torch.tensor([3, 0])), torch.device("cpu"))
        >>> resident.batch(torch.tensor([1, 0]))[2]
        tensor([0, 3])
    """

    def __init__(self, dataset: ImageDataset, device: torch.device) -> None:
        super().__init__(dataset.images, dataset.rows)
        self.device = device
        pixels, targets = dataset.images
        self._pixels, self._targets = (copied_rows(values, dataset.rows, device) for values in (pixels, targets))
        self._rows = dataset.rows.to(device)

    def batch(self, positions: Tensor) -> Batch:
        """Gather the images at these positions, int64 ``(B,)`` on the device."""
        images = self._pixels.index_select(0, positions).permute(0, 3, 1, 2)
        return images, self._targets.index_select(0, positions), self._rows.index_select(0, positions)

    def __getitems__(self, positions: list[int]) -> Batch:
        """Gather a batch for a sampler that is not ours (prediction, ``overfit_batches``)."""
        return self.batch(on_device(torch.tensor(positions), self.device))


def copied_rows(values: Tensor, rows: Tensor, device: torch.device) -> Tensor:
    """Copy rows of a tensor to a device, a part at a time."""
    copy = torch.empty(len(rows), *values.shape[1:], dtype=values.dtype, device=device)
    per_row = values[0].numel() * values.element_size() if len(values) else 1
    step = max(1, CHUNK // max(1, per_row))
    for start in range(0, len(rows), step):
        copy[start : start + step] = values.index_select(0, rows[start : start + step])
    return copy


def is_on(batch: Any, device: torch.device) -> bool:
    """Whether a batch consists of tensors on the device, and needs no copy."""
    return isinstance(batch, tuple) and all(isinstance(each, Tensor) and each.device == device for each in batch)


class ResidentLoader(ImageLoader):
    """Loader of a :class:`ResidentDataset`: the order of an epoch goes to the device once, and a batch is a slice."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yield the batches of the sampler's epoch, on the device."""
        dataset, order = self.dataset, self.sampler
        ours = isinstance(order, EpochOrder | EvaluationOrder) and type(self.batch_sampler) is BatchSampler
        if not (ours and isinstance(dataset, ResidentDataset)):  # Lightning has put in a sampler of its own
            yield from super().__iter__()
            return
        self.started_epoch = getattr(order, "epoch", -1)
        assert isinstance(order, EpochOrder | EvaluationOrder)
        assert self.batch_size is not None
        positions = on_device(order.positions(), dataset.device)
        for part in positions.split(self.batch_size):
            if len(part) == self.batch_size or not self.drop_last:
                yield dataset.batch(part)


class Residence:
    """Decides which data sets stay on the device, and keeps their copies for as long as the originals are used.

    Args:
        setting: ``auto``: on a CUDA device, if they take at most a quarter of its free memory; ``True``: on any device;
            ``False``: never.

    Raises:
        ValueError: If the setting is none of these.
    """

    def __init__(self, setting: Setting) -> None:
        if setting not in ("auto", True, False):
            raise ValueError(f"device_resident must be auto, true or false, got {setting!r}.")
        self.setting = setting
        self._copies: WeakKeyDictionary[ImageDataset, ResidentDataset] = WeakKeyDictionary()
        self._said: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle and deep-copy the setting only."""
        return Residence, (self.setting,)

    def loader(
        self,
        dataset: ImageDataset,
        order: EpochOrder | EvaluationOrder,
        batch_size: int,
        drop_last: bool,
        sets: dict[str, ImageDataset],
        device: torch.device | None,
        num_workers: int,
    ) -> ImageLoader:
        """Return a loader of a data set, or of its copy on the device; arguments as of `image_loader` and `copy_of`."""
        resident = self.copy_of(dataset, sets, device, num_workers)
        if resident is not None:
            return image_loader(resident, order, batch_size, drop_last=drop_last, kind=ResidentLoader)
        on_cuda = device is not None and device.type == "cuda"
        return image_loader(dataset, order, batch_size, num_workers, on_cuda, drop_last)

    def copy_of(
        self, dataset: ImageDataset, sets: dict[str, ImageDataset], device: torch.device | None, num_workers: int = 0
    ) -> ResidentDataset | None:
        """Return the copy of a data set on the device, or None if it stays in host memory.

        Args:
            dataset: One of the sets.
            sets: The data sets that the stage uses, by name; they stay on the device all or none.
            device: Device of the run; None if there is no trainer.
            num_workers: As configured, to say that a resident data set does not use it.

        Raises:
            UserError: If the setting is ``True`` and the copy is impossible.
        """
        if self.setting is False or device is None or (self.setting == "auto" and device.type != "cuda"):
            return None
        known = self._copies.get(dataset)
        if known is not None and known.device == device:
            return known
        new = {name: each for name, each in sets.items() if each not in self._copies}
        obstacle = self._obstacle(new, device)
        if obstacle and self.setting is True:
            raise UserError(f"data.device_resident is true, but {obstacle}: set it to auto or false.")
        if obstacle:
            self._say(f"{described(new)} stay in host memory: {obstacle}.")
            return None
        gain = ", which brings no speed on a CPU" if device.type == "cpu" else ""
        workers = f"; data.num_workers {num_workers} is not used" if num_workers else ""
        self._say(f"{described(new)} stay on {device}: {size_of(new)} of its memory{gain}{workers}.")
        for each in sets.values():
            self._copies[each] = ResidentDataset(each, device)
        return self._copies[dataset]

    def _obstacle(self, sets: dict[str, ImageDataset], device: torch.device) -> str | None:
        """Say why the sets cannot stay on the device."""
        for each in sets.values():
            if type(each).__getitems__ is not ImageDataset.__getitems__:
                return f"{type(each).__name__} makes its batches in its own way"
        if device.type != "cuda":
            return None
        free, needed = torch.cuda.mem_get_info(device)[0], sum(bytes_of(each) for each in sets.values())
        most = free if self.setting is True else int(SHARE * free)
        if needed <= most:
            return None
        of = "" if self.setting is True else f"{SHARE:.0%} of "
        return f"they need {as_size(needed)}, and {of}the free memory of {device} is {as_size(most)}"

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            rank_zero_info(text)


def sets_in_use(dataset: ImageDataset, trainer: Trainer | None, **sets: ImageDataset | None) -> dict[str, ImageDataset]:
    """Return the sets that a command uses together with ``dataset``: in a fit, those for training and validation."""
    fitting = trainer is not None and trainer.state.fn == TrainerFn.FITTING
    return {
        name: each
        for name, each in sets.items()
        if each is not None and (each is dataset or (fitting and name != "test"))
    }


def described(sets: dict[str, ImageDataset]) -> str:
    """Return the numbers of samples: ``45,000 training and 5,000 validation samples``."""
    return " and ".join(f"{len(each):,} {name}" for name, each in sets.items()) + " samples"


def bytes_of(dataset: ImageDataset) -> int:
    """Return the memory that a copy of a data set needs: images, targets and row numbers."""
    parts: Sequence[Tensor] = (*dataset.images, dataset.rows)
    return sum(part[:1].numel() * part.element_size() for part in parts) * len(dataset)


def size_of(sets: dict[str, ImageDataset]) -> str:
    """Return the memory of the sets, with its unit."""
    return as_size(sum(bytes_of(each) for each in sets.values()))


def as_size(count: int) -> str:
    """Return a number of bytes with its unit.

    Example:
        >>> as_size(640), as_size(1_500_000), as_size(20_000_000_000)
        ('640 bytes', '1.5 MB', '20.0 GB')
    """
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
