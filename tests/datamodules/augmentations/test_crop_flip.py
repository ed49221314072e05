"""Crop and flip: the distribution of torchvision's, as a function of (seed, epoch, row)."""

import itertools
from typing import Literal

import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.nn.functional import pad
from torchvision.transforms import v2

from datamodules.augmentations import crop_flip
from datamodules.augmentations.base import Augmentation, Chain
from datamodules.augmentations.crop_flip import CropFlip
from foundation.errors import UserError

P_MIN = 1e-4


def batch(count: int, height: int = 8, width: int = 8, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, height, width, channels), dtype=torch.uint8, generator=generator)
    return pixels.permute(0, 3, 1, 2)


def every_view(image: Tensor, padding: int, mode: str) -> dict[tuple[int, int, bool], Tensor]:
    """All results that pad, crop and flip can have, by (shift down, shift right, flipped)."""
    sides = [padding] * 4
    padded = pad(image.float(), sides, mode="reflect" if mode == "reflect" else "constant").to(torch.uint8)
    height, width = image.shape[-2:]
    views = {}
    for y, x in itertools.product(range(2 * padding + 1), repeat=2):
        crop = padded[:, y : y + height, x : x + width]
        views[y, x, False], views[y, x, True] = crop, crop.flip(2)
    return views


def found_views(images: Tensor, results: Tensor, padding: int, mode: str) -> list[tuple[int, int, bool]]:
    found = []
    for image, result in zip(images, results, strict=True):
        fits = [key for key, view in every_view(image, padding, mode).items() if torch.equal(view, result)]
        assert fits, "no crop of the padded image"
        found.append(fits[0])  # mirrored at its edges, a small image can look the same from two places
    return found


@pytest.mark.parametrize("mode", ["reflect", "zero"])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (5, 9), (9, 5)])
@pytest.mark.parametrize("padding", [1, 2, 4])
def test_every_result_is_a_crop_of_the_padded_image(mode: str, height: int, width: int, padding: int) -> None:
    images = batch(40, height, width)
    results = CropFlip(padding, mode)(images, torch.arange(40), seed=0, epoch=3)  # type: ignore[arg-type]
    assert results.dtype == torch.uint8
    assert results.is_contiguous(memory_format=torch.channels_last)
    assert len(set(found_views(images, results, padding, mode))) > 10


@pytest.mark.parametrize("mode", ["reflect", "zero"])
def test_all_crops_of_torchvision_occur_and_no_others(mode: str) -> None:
    padding, image = 1, batch(1)[0]
    names = {"reflect": "reflect", "zero": "constant"}
    crop = v2.Compose([v2.RandomCrop(8, padding, padding_mode=names[mode]), v2.RandomHorizontalFlip()])
    torch.manual_seed(0)
    theirs = {crop(image).numpy().tobytes() for _ in range(1_000)}
    results = CropFlip(padding, mode)(image.expand(1_000, -1, -1, -1), torch.arange(1_000), 0, 0)  # type: ignore[arg-type]
    ours = {result.contiguous().numpy().tobytes() for result in results}
    assert ours == theirs
    assert len(ours) == 18


def view_numbers(seed: int, epoch: int, flip: str = "random") -> Tensor:
    """Which of the 5 · 5 · 2 views each of 50,000 images gets: an image that tells its views apart, repeated."""
    image = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(50_000, 1, 8, 8)
    results = CropFlip(2, "zero", flip)(image, torch.arange(50_000), seed, epoch)  # type: ignore[arg-type]
    corner, beside = results[:, 0, 4, 4].long(), results[:, 0, 4, 3].long()
    flips = beside > corner
    y = corner // 8 - 2
    x = torch.where(flips, corner % 8 - 1, corner % 8 - 2)
    return (y * 5 + x) * 2 + flips.long()


@pytest.mark.parametrize(("seed", "epoch"), [(0, 0), (0, 1), (7, 0)])
def test_shifts_and_flips_are_uniform(seed: int, epoch: int) -> None:
    counts = torch.bincount(view_numbers(seed, epoch), minlength=50)
    assert len(counts) == 50
    assert stats.chisquare(counts.numpy()).pvalue > P_MIN


def test_same_distribution_as_torchvision() -> None:
    image = torch.arange(64, dtype=torch.uint8).view(1, 8, 8)
    crop = v2.Compose([v2.RandomCrop(8, 2), v2.RandomHorizontalFlip()])
    torch.manual_seed(0)
    order = sorted(view.numpy().tobytes() for view in every_view(image, 2, "zero").values())
    theirs = torch.zeros(50)
    for _ in range(5_000):
        theirs[order.index(crop(image).contiguous().numpy().tobytes())] += 1
    results = CropFlip(2, "zero")(image.expand(5_000, 1, 8, 8), torch.arange(5_000), 0, 0)
    ours = torch.zeros(50)
    for result in results:
        ours[order.index(result.contiguous().numpy().tobytes())] += 1
    assert stats.chi2_contingency(torch.stack([ours, theirs]).numpy()).pvalue > P_MIN


@pytest.mark.parametrize("other", [(0, 1), (0, 2), (1, 0)])
def test_epochs_and_seeds_are_independent(other: tuple[int, int]) -> None:
    table = torch.bincount(view_numbers(0, 0) * 50 + view_numbers(*other), minlength=2500).view(50, 50)
    assert stats.chi2_contingency(table.numpy()).pvalue > P_MIN


def test_alternating_flip_shows_every_image_both_ways_in_two_epochs() -> None:
    crop, rows = CropFlip(0, flip="alternating"), torch.arange(50_000)
    first, second, third = (crop.flips(rows, seed=0, epoch=epoch) for epoch in range(3))
    assert torch.equal(first, ~second)
    assert torch.equal(first, third)
    assert stats.binomtest(int(first.sum()), 50_000).pvalue > P_MIN
    assert not torch.equal(first, crop.flips(rows, seed=1, epoch=0))


def test_an_image_is_augmented_alike_in_every_batch() -> None:
    images, rows, crop = batch(30), torch.arange(100, 130), CropFlip(2)
    whole = crop(images, rows, 5, 6)
    mixed = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert torch.equal(crop(images[mixed], rows[mixed], 5, 6), whole[mixed])
    assert torch.equal(crop(images[3:4], rows[3:4], 5, 6), whole[3:4])


def test_global_generator_and_input_are_left_alone() -> None:
    images = batch(10)
    before, state = images.clone(), torch.get_rng_state()
    CropFlip(2)(images, torch.arange(10), 0, 0)
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_other_memory_format_gives_the_same() -> None:
    images, rows = batch(10), torch.arange(10)
    assert torch.equal(CropFlip(2)(images.contiguous(), rows, 0, 0), CropFlip(2)(images, rows, 0, 0))


def test_grey_images() -> None:
    images = batch(20, channels=1)
    assert len(found_views(images, CropFlip(1)(images, torch.arange(20), 0, 0), 1, "reflect")) == 20


def test_no_padding_and_no_flip_change_nothing() -> None:
    images = batch(10)
    assert torch.equal(CropFlip(0, flip="none")(images, torch.arange(10), 0, 0), images)


@pytest.mark.parametrize("mode", ["reflect", "zero"])
def test_64_bit_indices_give_the_same_pixels(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    images, rows = batch(20), torch.arange(20)
    narrow = CropFlip(3, mode)(images, rows, 0, 0)  # type: ignore[arg-type]
    monkeypatch.setattr(crop_flip, "NARROW", 100)
    assert torch.equal(CropFlip(3, mode)(images, rows, 0, 0), narrow)  # type: ignore[arg-type]


def test_chain_applies_its_steps_in_order() -> None:
    class Add(Augmentation):
        def __init__(self, value: int, factor: int) -> None:
            self.value, self.factor = value, factor

        def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
            return images * self.factor + self.value

    images = torch.ones(1, 1, 1, 1, dtype=torch.uint8)
    assert Chain([Add(1, 2), Add(0, 5)])(images, torch.arange(1), 0, 0).item() == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": -1}, "padding must be ≥ 0, got -1"),
        ({"mode": "edge"}, "mode must be one of reflect, zero; got 'edge'"),
        ({"flip": "vertical"}, "flip must be one of random, alternating, none; got 'vertical'"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CropFlip(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["reflect", "zero"])
def test_padding_larger_than_the_image(mode: Literal["reflect", "zero"]) -> None:
    with pytest.raises(UserError, match="padding 8 is too large for images of 8 × 8"):
        CropFlip(8, mode=mode)(batch(2), torch.arange(2), 0, 0)
