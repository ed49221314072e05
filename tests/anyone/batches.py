"""Modules that take their batches in another form."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from tests.anyone.data import Points, loaders
from tests.anyone.plain import Plain


class PopsTheTarget(Plain):
    """A step that takes the target out of the batch."""

    def unpacked(self, batch: Any) -> tuple[Any, Tensor]:
        y = batch.pop("y")
        return batch["x"], y


class StepOfABatch(Plain):
    """A step without the number of the batch."""

    def training_step(self, batch: Any) -> Any:  # type: ignore[override]
        x, y = self.unpacked(batch)
        return nn.functional.cross_entropy(self(x), y)


class TakesTheIterator(Plain):
    """A step that fetches the batch itself."""

    def training_step(self, dataloader_iter: Iterator[Any]) -> Any:  # type: ignore[override]
        batch, _, _ = next(dataloader_iter)
        return nn.functional.cross_entropy(self(batch[0]), batch[1])


class DataclassBatch(Plain):
    """Batches with named fields."""

    def unpacked(self, batch: Any) -> tuple[Any, Tensor]:
        return batch.x, batch.y

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return type(batch)(batch.x.to(device), batch.y.to(device)) if isinstance(batch, Points) else batch


class NamedTupleBatch(Plain):
    """Batches with named fields."""

    def unpacked(self, batch: Any) -> tuple[Any, Tensor]:
        return batch.x, batch.y


class BringsItsLoaders(Plain):
    """A module with its own data."""

    def train_dataloader(self) -> Any:
        return loaders()[0]

    def val_dataloader(self) -> Any:
        return loaders()[1]


class SkipsBatches(Plain):
    """A step that skips a batch by returning nothing."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return None if batch_idx == 1 else super().training_step(batch, batch_idx)
