"""An image folder's data module for small images, folders of random images, and what is found in them."""

import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules import ImageFolderDataModule
from datamodules.folder.decoding import ImageFormat, decode
from tests.datamodules.support import save_image

FORM = ImageFormat(8, 8, "RGB", "crop")


def module(root: Path, **kwargs: Any) -> ImageFolderDataModule:
    arguments: dict[str, Any] = {"image_size": 8, "batch_size": 2, "val_share": 0.4}
    return ImageFolderDataModule(str(root), **(arguments | kwargs))


def decoded(root: Path, split: str) -> Tensor:
    files = sorted((root / split).glob("*/*.*"))
    return torch.stack([torch.tensor(decode(file, FORM)) for file in files])


Found = dict[str, dict[str, int]]
"""Number of images of each class, in each part."""


def put(folder: Path, *classes: str, count: int = 3, first: int = 0) -> None:
    """Save images of each class, no two alike."""
    for name in classes:
        for i in range(first, first + count):
            save_image(folder / name / f"{i}.png", seed=zlib.crc32(f"{folder.name}/{name}/{i}".encode()))


def found(root: Path) -> Found:
    """Count the images of all parts, as the data module opens them."""
    data = ImageFolderDataModule(str(root), image_size=8, batch_size=1, val_share=0.3)
    data.prepare_data()
    data.setup("fit")
    sets = {"train": data.train_set, "val": data.val_set}
    if data.is_unsplit or "test" in data.layout.splits:
        data.setup("test")
        sets["test"] = data.test_set
    counts = {}
    for part, dataset in sets.items():
        assert dataset is not None
        targets = Counter(dataset.images.targets[dataset.rows].tolist())
        counts[part] = {name: targets[number] for number, name in enumerate(data.class_names)}
    return counts


def total(counts: Found) -> dict[str, int]:
    """Count the images of each class in all parts."""
    names = next(iter(counts.values()))
    return {name: sum(part[name] for part in counts.values()) for name in names}
