"""Normalisation against numpy in float64, statistics against numpy, both memory formats."""

import numpy as np
import pytest
import torch

from datamodules.memory.normalisation import Normaliser, Statistics, pixel_statistics, statistics_of_sums
from tests.datamodules.support import made_up

STATISTICS = Statistics((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("channels_last_input", [True, False])
def test_values_equal_the_formula(channels_last: bool, channels_last_input: bool) -> None:
    pixels = made_up(7, size=6).pixels
    images = pixels.permute(0, 3, 1, 2)
    result = Normaliser(STATISTICS, channels_last)(images if channels_last_input else images.contiguous())
    expected = (pixels.numpy() / 255 - np.array(STATISTICS.mean)) / np.array(STATISTICS.std)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, torch.from_numpy(expected.transpose(0, 3, 1, 2)).float(), rtol=1e-6, atol=5e-7)
    form = torch.channels_last if channels_last else torch.contiguous_format
    assert result.is_contiguous(memory_format=form)


def test_input_is_unchanged_and_sizes_may_differ() -> None:
    normaliser, images = Normaliser(STATISTICS), made_up(3, size=6).pixels.permute(0, 3, 1, 2)
    before = images.clone()
    large = normaliser(images)
    small = normaliser(images[:, :, 1:4, 1:4])
    assert torch.equal(images, before)
    assert torch.equal(small, large[:, :, 1:4, 1:4])


def test_statistics_equal_numpy() -> None:
    pixels = made_up(50, size=9).pixels
    mean, std = pixel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels.numpy() / 255).mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, (pixels.numpy() / 255).std((0, 1, 2)), rtol=1e-9)


def test_statistics_do_not_depend_on_the_chunk_size() -> None:
    pixels = made_up(50, size=9).pixels
    assert pixel_statistics(pixels, chunk=700) == pixel_statistics(pixels)


def test_constant_channel_stays_finite() -> None:
    statistics = pixel_statistics(torch.full((2, 3, 3, 1), 7, dtype=torch.uint8))
    assert statistics == Statistics((7 / 255,), (1 / 255,))
    images = torch.full((1, 1, 3, 3), 7, dtype=torch.uint8)
    assert Normaliser(statistics)(images).abs().max() < 1e-5


def test_sums_of_a_million_large_images_are_exact() -> None:
    count = 10**6 * 512 * 512  # float64 alone would lose these digits
    assert statistics_of_sums([255 * count // 2], [255 * 255 * count // 2], count) == Statistics((0.5,), (0.5,))


@pytest.mark.parametrize("std", [(0.0, 1.0), (1.0,), (-1.0, 1.0), (float("nan"), 1.0)])
def test_bad_statistics(std: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="mean and std must have one value per channel and std be > 0"):
        Normaliser(Statistics((0.5, 0.5), std))
