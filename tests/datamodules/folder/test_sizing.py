"""Images are stored as a pretrained network wants them, larger than what it takes where it crops their middle."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor

from datamodules import CropFlip, ImageFolderDataModule, RandomResizedCrop
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.sizing import Sizing
from foundation.network_input import NetworkInput

WANTED = NetworkInput(56, 56, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7), "bicubic", 0.875)


def folder(root: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(12):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        file = root / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True, parents=True)
        coarse.resize((90 + 7 * number, 75), Image.Resampling.BICUBIC).save(file)
    return root


def data(root: Path, **kwargs: Any) -> ImageFolderDataModule:
    arguments: dict[str, Any] = {"image_size": "network", "batch_size": 4}
    module = ImageFolderDataModule(str(root), seed=0, **(arguments | kwargs))
    module.follow(SimpleNamespace(network=SimpleNamespace(network_input=WANTED)))
    module.setup("fit")
    return module


def first_batch(module: ImageFolderDataModule) -> tuple[Tensor, Tensor, Tensor]:
    return next(iter(module.train_dataloader()))


def test_evaluation_is_timms_image_by_image(tmp_path: Path) -> None:
    module = data(folder(tmp_path))
    assert (module.form.shape, module.image_size) == ((64, 64, 3), (56, 56))
    batch = first_batch(module)
    images, _ = module.prepare_batch(batch, training=False)
    transform = create_transform((3, 56, 56), mean=WANTED.mean, std=WANTED.std, interpolation="bicubic", crop_pct=0.875)
    files = [file for name in ("a", "b") for file in sorted((tmp_path / name).glob("*.png"))]
    for image, row in zip(images, batch[2].tolist(), strict=True):
        expected = transform(Image.open(files[row]))
        assert (image - expected).abs().max() < 1.01 / 255 / 0.5


def test_what_is_given_comes_first(tmp_path: Path) -> None:
    module = data(folder(tmp_path), image_size=28, interpolation="bilinear", mean=[0.5] * 3, std=[0.5] * 3)
    assert module.form == ImageFormat(32, 32, "RGB", "crop", "bilinear")
    assert module.statistics.mean == (0.5, 0.5, 0.5)
    assert data(tmp_path, image_size=28, stored_size=30).form.height == 30
    assert data(tmp_path).statistics.mean == WANTED.mean


def test_without_a_pretrained_network_nothing_changes() -> None:
    assert Sizing(32, None, None).form("RGB", "crop", None) == (ImageFormat(32, 32, "RGB", "crop"), (32, 32))
    with pytest.raises(ValueError, match="stored_size must be at least image_size"):
        Sizing(32, 31, None)


def test_only_a_crop_sees_the_larger_image(tmp_path: Path) -> None:
    module = data(folder(tmp_path), augmentation=CropFlip(padding=0, flip="none"))
    batch = first_batch(module)
    assert batch[0].shape[-2:] == (64, 64)
    plain, _ = module.prepare_batch(batch, training=False)
    assert torch.equal(module.prepare_batch(batch, training=True)[0], plain), "another augmentation gets the middle"
    cropped = data(tmp_path, augmentation=RandomResizedCrop(scale=(1.0, 1.0), ratio=(1.0, 1.0), flip="none"))
    images, _ = cropped.prepare_batch(first_batch(cropped), training=True)
    assert images.shape[-2:] == (56, 56)
    assert not torch.equal(images, plain), "the whole stored image was scaled"
