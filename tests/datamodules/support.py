"""Test helpers: a data module of random images, a module that records its batches, and image folders."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule, Images


def made_up(count: int, classes: int = 2, size: int = 4, channels: int = 3, seed: int = 0) -> Images:
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, size, size, channels), dtype=torch.uint8, generator=generator)
    return Images(pixels, torch.arange(count) % classes)


class MadeUp(ImageDataModule):
    """Data module with ``train`` training and ``test`` test images of 4 × 4 random pixels."""

    image_size = (4, 4)
    channels = 3

    def __init__(self, train: int = 100, test: int = 21, classes: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes, self.classes = (train, test), classes
        self.opened: list[str] = []

    @property
    def class_names(self) -> list[str]:
        return [f"class {i}" for i in range(self.classes)]

    def training_images(self) -> Images:
        self.opened.append("train")
        return made_up(self.sizes[0], self.classes)

    def test_images(self) -> Images:
        self.opened.append("test")
        return made_up(self.sizes[1], self.classes, seed=1)


class Recorder(LightningModule):
    """Records every batch: stage, epoch, images, targets."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(48, 2)
        self.seen: list[tuple[str, int, Tensor, Tensor]] = []

    def _note(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        self.seen.append((stage, self.current_epoch, batch[0].clone(), batch[1].clone()))

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        self._note("train", batch)
        return torch.nn.functional.cross_entropy(self.layer(batch[0].flatten(1)), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._note("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._note("test", batch)

    def predict_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return batch[0]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def quiet_trainer(**kwargs: Any) -> Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return Trainer(**(settings | kwargs))


def save_image(path: Path, seed: int = 0, size: tuple[int, int] = (8, 8), mode: str = "RGB", **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], len(mode)) if len(mode) > 1 else (size[1], size[0])
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels, mode=mode).save(path, **options)


def image_folder(root: Path, train: int = 5, test: int = 3, val: int = 0) -> Path:
    """Create ``root`` with the classes cat and dog and images of 8 × 8 pixels."""
    for place, (split, count) in enumerate((("train", train), ("test", test), ("val", val))):
        for number, name in enumerate(("cat", "dog")):
            for i in range(count):
                save_image(root / split / name / f"{i}.png", seed=1000 * place + 100 * number + i)
    return root
