"""The digits: all of them, each in one set, the test scans the same for everyone."""

import pytest
import torch
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
        (each.pictures.pixels[each.rows], each.pictures.targets[each.rows])
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
        sets.append(data.test_set.pictures.pixels)
    assert torch.equal(*sets)


def test_normalised_to_zero_mean_and_unit_deviation() -> None:
    data = DigitsDataModule(batch_size=10)
    data.setup("fit")
    assert data.train_set is not None
    pictures = data.train_set.pictures
    batch = pictures.pixels.permute(0, 3, 1, 2), pictures.targets, torch.arange(len(pictures.targets))
    images, _ = data.prepare_batch(batch, training=False)
    assert abs(float(images.mean())) < 1e-5
    assert float(images.std()) == pytest.approx(1, abs=1e-4)
