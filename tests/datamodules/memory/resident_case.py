"""A fit that records its batches, with data in host memory or on the device."""

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from datamodules import CropFlip
from tests.datamodules.support import MadeUp, Recorder

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)

Seen = list[tuple[str, int, Tensor, Tensor]]


class Loaders(Recorder):
    """Notes the class of the loaders that were used."""

    def __init__(self) -> None:
        super().__init__()
        self.loaders: set[type] = set()

    def on_train_epoch_end(self) -> None:
        self.loaders |= {type(self.trainer.train_dataloader), type(self.trainer.val_dataloaders)}


def data(**kwargs: Any) -> MadeUp:
    arguments: dict[str, Any] = {"batch_size": 16, "eval_batch_size": 7, "augmentation": CropFlip(1), "seed": 2}
    return MadeUp(**(arguments | kwargs))


def assert_same(one: Seen, other: Seen) -> None:
    assert [entry[:2] for entry in one] == [entry[:2] for entry in other]
    for (_, _, images, targets), (_, _, other_images, other_targets) in zip(one, other, strict=True):
        assert torch.equal(images, other_images)
        assert torch.equal(targets, other_targets)
        assert images.stride() == other_images.stride()


def in_a_fit() -> Any:
    state = SimpleNamespace(fn="fit")
    strategy = SimpleNamespace(root_device=CPU)
    return SimpleNamespace(
        strategy=strategy, state=state, world_size=1, global_rank=0, max_epochs=3, max_steps=-1, training=True
    )
