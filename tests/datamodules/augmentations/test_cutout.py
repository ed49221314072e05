"""Cutout: a square of the right size, uniform over the image, with the same memory format."""

import pytest
import torch
from scipy import stats

from datamodules import Chain, CropFlip, Cutout, ShapeMasksDataModule
from datamodules.augmentations.base import Augmentation
from tests.datamodules.support import made_up


def squares(count: int, size: int, epoch: int = 0) -> torch.Tensor:
    white = torch.full((count, 1, 9, 7), 255, dtype=torch.uint8)
    return Cutout(size, fill=0)(white, torch.arange(count), seed=0, epoch=epoch)[:, 0] == 0


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_square_that_the_edge_may_cut(size: int) -> None:
    for hole in squares(200, size):
        ys, xs = hole.any(1).nonzero().flatten(), hole.any(0).nonzero().flatten()
        assert int(hole.sum()) == len(ys) * len(xs)
        for places, length in ((ys, 9), (xs, 7)):
            assert len(places) == int(places[-1] - places[0]) + 1
            assert len(places) == size or places[0] == 0 or places[-1] == length - 1
            assert 1 <= len(places) <= size


def test_uniform_over_the_image_and_independent_of_the_epoch() -> None:
    centres = [squares(30_000, 1, epoch).flatten(1).int().argmax(1) for epoch in range(2)]
    for places in centres:
        assert stats.chisquare(torch.bincount(places, minlength=63).numpy()).pvalue > 1e-4
    table = torch.bincount(centres[0] % 7 * 7 + centres[1] % 7, minlength=49).view(7, 7)
    assert stats.chi2_contingency(table.numpy()).pvalue > 1e-4


def test_the_rest_is_unchanged() -> None:
    images = made_up(20, size=8).pixels.permute(0, 3, 1, 2)
    before = images.clone()
    result = Chain([CropFlip(0, flip="none"), Cutout(3, fill=128)])(images, torch.arange(20), 1, 2)
    assert torch.equal(images, before)
    assert result.is_contiguous(memory_format=torch.channels_last)
    changed = result != images
    assert (result[changed] == 128).all()
    assert changed.flatten(1).any(1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be ≥ 1, got 0"),
        ({"fill": -1}, r"fill must be in \[0, 255\], got -1"),
        ({"fill": 256}, r"fill must be in \[0, 255\], got 256"),
    ],
)
def test_bad_arguments(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Cutout(**arguments)


MASKS = torch.ones(20, 9, 7, dtype=torch.uint8)


def test_masks_have_no_label_where_the_square_is() -> None:
    white = torch.full((20, 1, 9, 7), 255, dtype=torch.uint8)
    images, masks = Cutout(3, fill=0).with_masks(white, MASKS, torch.arange(20), 0, 0, ignored=255)
    assert torch.equal(masks == 255, images[:, 0] == 0)
    assert set(masks.unique().tolist()) == {1, 255}


def test_masks_have_no_label_where_an_image_is_padded() -> None:
    white = torch.full((20, 1, 9, 7), 255, dtype=torch.uint8)
    chain = Chain([CropFlip(2, mode="zero"), Cutout(3, fill=0)])
    images, masks = chain.with_masks(white, MASKS, torch.arange(20), 0, 0, ignored=9)
    assert torch.equal(masks == 9, images[:, 0] == 0)
    assert set(masks.unique().tolist()) == {1, 9}
    moved, same = CropFlip(2).with_masks(MASKS.unsqueeze(1) * 7, MASKS * 7, torch.arange(20), 0, 0, ignored=9)
    assert torch.equal(moved[:, 0], same)


def test_other_augmentations_are_refused_for_masks() -> None:
    class Invert(Augmentation):
        def __call__(self, images: torch.Tensor, rows: torch.Tensor, seed: int, epoch: int) -> torch.Tensor:
            return 255 - images

    with pytest.raises(ValueError, match="Invert changes values, and would paint them into the masks"):
        ShapeMasksDataModule(augmentation=Invert())
    with pytest.raises(ValueError, match="Chain changes values"):
        ShapeMasksDataModule(augmentation=Chain([CropFlip(1), Invert()]))
    ShapeMasksDataModule(augmentation=Chain([CropFlip(1), Cutout(2)]))
