"""Tiny data in the forms in which people give it: tensors, dicts, dataclasses, sequences, streams."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

SAMPLES, BATCH, FEATURES, CLASSES, TOKENS = 24, 4, 6, 3, 11


def vectors(samples: int = SAMPLES) -> TensorDataset:
    """Return points `(N, 6)`, each with the class of its largest of three features."""
    points = torch.randn(samples, FEATURES, generator=torch.Generator().manual_seed(7))
    return TensorDataset(points, points[:, :CLASSES].argmax(dim=1))


class Listed(Dataset[Any]):
    """A list of samples."""

    def __init__(self, samples: list[Any]) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]


class Noisy(Listed):
    """Samples with new noise each time, as an augmentation draws it."""

    def __getitem__(self, index: int) -> Any:
        point, target = self.samples[index]
        return point + 0.1 * torch.randn(FEATURES), target


class Stream(IterableDataset[Any]):
    """Samples one after the other, without a length."""

    def __iter__(self) -> Iterator[Any]:
        return iter([vectors()[index] for index in range(SAMPLES)])


@dataclass
class Points:
    """A batch as a dataclass."""

    x: Tensor
    y: Tensor


class Pair(NamedTuple):
    """A batch as a named tuple."""

    x: Tensor
    y: Tensor


def pairs() -> list[Any]:
    data = vectors()
    return [data[index] for index in range(len(data))]


def loaders(train: Any = None, val: Any = None, **options: Any) -> tuple[Any, Any]:
    """Return a shuffled training loader and a validation loader."""
    train, val = vectors() if train is None else train, vectors(8) if val is None else val
    chosen = {"batch_size": BATCH, "shuffle": not isinstance(train, IterableDataset)} | options
    return DataLoader(train, **chosen), DataLoader(val, **(chosen | {"shuffle": False, "generator": None}))


def dicts() -> tuple[Any, Any]:
    samples = [{"x": point, "y": target} for point, target in pairs()]
    return loaders(Listed(samples), Listed(samples[:8]))


def collated(kind: Any) -> tuple[Any, Any]:
    def collate(samples: list[Any]) -> Any:
        return kind(torch.stack([point for point, _ in samples]), torch.stack([target for _, target in samples]))

    return loaders(Listed(pairs()), Listed(pairs()[:8]), collate_fn=collate)


def sequences() -> tuple[Any, Any]:
    """Return batches of token sequences that are padded to the longest of their batch, `(B, T)`, and classes."""
    draw = torch.Generator().manual_seed(3)
    lengths = torch.randint(3, 9, (SAMPLES,), generator=draw).tolist()
    samples = [torch.randint(1, TOKENS, (length,), generator=draw) for length in lengths]

    def collate(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return padded, torch.stack([row[0] % CLASSES for row in rows])

    return loaders(Listed(samples), Listed(samples[:8]), collate_fn=collate)


def two_inputs() -> tuple[Any, Any]:
    samples = [{"image": point, "text": point.flip(0), "y": target} for point, target in pairs()]
    return loaders(Listed(samples), Listed(samples[:8]))


class VectorsModule(LightningDataModule):
    """The vectors as a data module of somebody else."""

    def __init__(self, batch_size: int = BATCH, noisy: bool = False, workers: int = 0) -> None:
        super().__init__()
        self.batch_size, self.noisy, self.workers = batch_size, noisy, workers
        self.num_classes = CLASSES

    def setup(self, stage: str) -> None:
        self.train, self.val = (Noisy(pairs()) if self.noisy else vectors()), vectors(8)

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, batch_size=self.batch_size, shuffle=True, num_workers=self.workers)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val, batch_size=self.batch_size)
