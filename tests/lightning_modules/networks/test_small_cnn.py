import pytest
import torch

from lightning_modules.networks import SmallCNN


def test_parameters_are_as_counted_by_hand() -> None:
    # Three convolutions without bias, two numbers a channel for each normalisation, a linear layer with bias.
    expected = 9 * (1 * 32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + (128 * 10 + 10)
    assert sum(p.numel() for p in SmallCNN(num_classes=10, in_channels=1).parameters()) == expected == 94_186


def test_width_scales_every_layer() -> None:
    expected = 9 * (3 * 8 + 8 * 16 + 16 * 32) + 2 * (8 + 16 + 32) + (32 * 5 + 5)
    assert sum(p.numel() for p in SmallCNN(num_classes=5, width=8).parameters()) == expected


@pytest.mark.parametrize("size", [(4, 4), (8, 8), (28, 28), (32, 20)])
def test_takes_images_of_any_size_from_four(size: tuple[int, int]) -> None:
    assert SmallCNN()(torch.zeros(2, 3, *size)).shape == (2, 10)


def test_refuses_a_width_below_one() -> None:
    with pytest.raises(ValueError, match=r"width must be ≥ 1, got 0\."):
        SmallCNN(width=0)
