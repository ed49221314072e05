"""An image folder's data module for small images."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules import ImageFolderDataModule
from datamodules.folder.decoding import ImageFormat, decode

FORM = ImageFormat(8, 8, "RGB", "crop")


def module(root: Path, **kwargs: Any) -> ImageFolderDataModule:
    arguments: dict[str, Any] = {"image_size": 8, "batch_size": 2, "val_share": 0.4}
    return ImageFolderDataModule(str(root), **(arguments | kwargs))


def decoded(root: Path, split: str) -> Tensor:
    files = sorted((root / split).glob("*/*.*"))
    return torch.stack([torch.tensor(decode(file, FORM)) for file in files])
