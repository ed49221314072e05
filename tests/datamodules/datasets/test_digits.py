"""Digits: every scan is in exactly one set, and the test set is the same in every run."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from datamodules import DigitsDataModule


def test_every_scan_is_in_one_set() -> None:
    data = DigitsDataModule()
    data.setup("fit")
    data.setup("test")
    assert data.train_set is not None
    assert data.val_set is not None
    assert data.test_set is not None
    assert (len(data.train_set), len(data.val_set), len(data.test_set)) == (1293, 145, 359)
    parts = [
        (each.images.pixels[each.rows], each.images.targets[each.rows])
        for each in (data.train_set, data.val_set, data.test_set)
    ]
    got = sorted(
        (pixels.numpy().tobytes(), int(target)) for part in parts for pixels, target in zip(*part, strict=True)
    )
    bunch = load_digits()
    expected = sorted(
        (image.astype("uint8").tobytes(), int(target)) for image, target in zip(bunch.images, bunch.target, strict=True)
    )
    assert got == expected


def test_test_scans_do_not_depend_on_the_seeds() -> None:
    sets = []
    for seed in (0, 1):
        data = DigitsDataModule(seed=seed, split_seed=seed)
        data.setup("test")
        assert data.test_set is not None
        sets.append(data.test_set.images.pixels)
    assert torch.equal(*sets)


def test_normalised_to_zero_mean_and_unit_deviation() -> None:
    data = DigitsDataModule(batch_size=10)
    data.setup("fit")
    assert data.train_set is not None
    held = data.train_set.images
    batch = held.pixels.permute(0, 3, 1, 2), held.targets, torch.arange(len(held.targets))
    images, _ = data.prepare_batch(batch, training=False)
    assert abs(float(images.mean())) < 1e-5
    assert float(images.std()) == pytest.approx(1, abs=1e-4)


def test_enlarged_scans_are_resized_and_scaled() -> None:
    large, small = DigitsDataModule(size=32).training_images(), DigitsDataModule().training_images()
    assert large.pixels.shape == (len(small.targets), 32, 32, 1)
    for number in (0, 7):
        scan = Image.fromarray(small.pixels[number, :, :, 0].numpy().astype(np.float32) * np.float32(255 / 16))
        expected = np.asarray(scan.resize((32, 32), Image.Resampling.BILINEAR))
        assert np.abs(large.pixels[number, :, :, 0].numpy() - expected).max() <= 0.51  # rounded
    with pytest.raises(ValueError, match="size must be ≥ 8, got 7"):
        DigitsDataModule(size=7)
