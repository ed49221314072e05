"""Augmentations of photographs: torchvision's arithmetic and distributions, for a whole batch, without a generator."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from datamodules import Augmentation, ColorJitter, RandAugment, RandomErasing, RandomResizedCrop, TrivialAugment
from datamodules.augmentations import photo_kernels as kernels
from datamodules.augmentations.random_changes import FACTORS, KERNELS
from datamodules.augmentations.random_resized_crop import resized_by_matrices, resized_one_by_one

ROWS = torch.arange(4000)


def photos(count: int = 6, height: int = 40, width: int = 32) -> Tensor:
    """Return smooth images with a little noise, channels_last."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 5, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    noisy = (smooth * 255 + 8 * torch.randn(count, 3, height, width, generator=generator)).clamp(0, 255)
    return noisy.to(torch.uint8).contiguous(memory_format=torch.channels_last)


def share_equal(one: Tensor, other: Tensor, levels: int = 1) -> float:
    return ((one.int() - other.int()).abs() <= levels).float().mean().item()


AUGMENTATIONS: list[Augmentation] = [
    RandomResizedCrop(size=(16, 16)),
    ColorJitter(0.4, 0.4, 0.4, 0.1),
    TrivialAugment(),
    RandAugment(),
    RandomErasing(0.5),
]


@pytest.mark.parametrize("augmentation", AUGMENTATIONS, ids=lambda each: type(each).__name__)
def test_choices_are_functions_of_seed_epoch_and_image(augmentation: Augmentation) -> None:
    images, rows = photos(), torch.tensor([5, 9, 2, 30, 11, 7])
    before, state = images.clone(), torch.get_rng_state()
    result = augmentation(images, rows, seed=3, epoch=2)
    assert result.dtype == torch.uint8
    assert torch.equal(images, before), "changed in place"
    assert torch.equal(torch.get_rng_state(), state), "drew from a generator"
    order = torch.tensor([4, 0, 5, 1, 3, 2])
    assert torch.equal(augmentation(images[order], rows[order], seed=3, epoch=2), result[order])
    assert torch.equal(augmentation.for_samples(31)(images, rows, seed=3, epoch=2), result), "with a table of draws"
    assert not torch.equal(augmentation(images, rows, seed=3, epoch=3), result)
    assert not torch.equal(augmentation(images, rows, seed=4, epoch=2), result)


# -- random resized crop -----------------------------------------------------------------------------------------------


def test_a_crop_is_torchvisions_image_by_image() -> None:
    images, crop = photos(), RandomResizedCrop(size=(24, 20), flip="random")
    result = crop(images, ROWS[:6], seed=0, epoch=0)
    boxes = crop.boxes(ROWS[:6], 40, 32, seed=0, epoch=0).t().tolist()
    assert {box[4] for box in boxes} == {0, 1}
    for image, (top, left, height, width, flipped), found in zip(images, boxes, result, strict=True):
        expected = F.resized_crop(image, top, left, height, width, [24, 20], antialias=True)
        expected = F.horizontal_flip(expected) if flipped else expected
        assert share_equal(found, expected) == 1.0
        if "AVX" in torch.backends.cpu.get_cpu_capability():  # elsewhere torchvision resizes in float32, and rounds
            assert torch.equal(found, expected)


def test_matrices_scale_as_torchvision_does() -> None:
    images = photos()
    boxes = RandomResizedCrop(scale=(0.1, 1.0)).boxes(ROWS[:6], 40, 32, seed=1, epoch=0)
    one, other = resized_one_by_one(images, boxes, (24, 20)), resized_by_matrices(images, boxes, (24, 20))
    assert share_equal(one, other) == 1.0


def compared(ours: Tensor, theirs: list[float]) -> None:
    """Compare two distributions by their means and standard deviations."""
    reference = torch.tensor(theirs, dtype=torch.float64)
    error = reference.std() / math.sqrt(len(reference))
    assert abs(ours.double().mean() - reference.mean()) < 5 * error
    assert abs(ours.double().std() / reference.std() - 1) < 0.08


def test_crops_have_torchvisions_distribution() -> None:
    top, left, height, width, flipped = RandomResizedCrop(scale=(0.2, 1.0)).boxes(ROWS, 48, 64, seed=0, epoch=0)
    torch.manual_seed(0)
    image, transform = torch.zeros(3, 48, 64), v2.RandomResizedCrop(8, scale=(0.2, 1.0))
    drawn = [transform.make_params([image]) for _ in range(2000)]
    for ours, name in ((top, "top"), (left, "left"), (height, "height"), (width, "width")):
        compared(ours, [float(each[name]) for each in drawn])
    assert flipped.double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_the_middle_is_taken_where_no_try_fits() -> None:
    top, left, height, width, _ = RandomResizedCrop(scale=(0.9, 1.0)).boxes(ROWS[:50], 100, 10, seed=0, epoch=0)
    assert (height.unique().tolist(), width.unique().tolist()) == ([13], [10])
    assert (top.unique().tolist(), left.unique().tolist()) == ([43], [0])


def test_alternating_flips_show_both_sides() -> None:
    crop = RandomResizedCrop(flip="alternating")
    assert torch.equal(crop.flips(ROWS, 0, epoch=0), ~crop.flips(ROWS, 0, epoch=1))


# -- changes of values and places --------------------------------------------------------------------------------------

TORCHVISION: dict[str, Callable[[Tensor, float], Tensor]] = {
    "brightness": F.adjust_brightness,
    "color": F.adjust_saturation,
    "contrast": F.adjust_contrast,
    "sharpness": F.adjust_sharpness,
    "posterize": lambda image, bits: F.posterize(image, int(bits)),
    "solarize": lambda image, share: F.solarize(image, 255 * share),
    "auto_contrast": lambda image, _: F.autocontrast(image),
    "equalize": lambda image, _: F.equalize(image),
    "shear_x": lambda image, x: _affine(image, shear=[math.degrees(math.atan(x)), 0.0], center=[0, 0]),
    "shear_y": lambda image, x: _affine(image, shear=[0.0, math.degrees(math.atan(x))], center=[0, 0]),
    "translate_x": lambda image, x: _affine(image, translate=[int(x), 0]),
    "translate_y": lambda image, x: _affine(image, translate=[0, int(x)]),
    "rotate": lambda image, degrees: F.rotate(image, degrees),
}


def _affine(image: Tensor, **given: Any) -> Tensor:
    return F.affine(image, **({"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]} | given))


@pytest.mark.parametrize("name", TORCHVISION)
@pytest.mark.parametrize("kind", [TrivialAugment(), RandAugment()], ids=["trivial", "rand"])
def test_a_change_is_torchvisions_image_by_image(name: str, kind: TrivialAugment | RandAugment) -> None:
    images = photos()
    strength, sign = torch.tensor([0, 7, 13, 21, 26, 30]), torch.tensor([0, 1, 0, 1, 0, 1])
    values = kind.values(name, strength, sign, 40, 32)
    found = KERNELS[name](images, values)
    for image, value, one in zip(images, values.tolist(), found, strict=True):
        assert share_equal(one, TORCHVISION[name](image, value)) > 0.995, value


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("channels", [3, 1])
def test_an_image_alone_is_changed_as_in_a_batch(name: str, channels: int) -> None:
    """On a CPU some changes of one image are computed in another way, with the same bits."""
    images = photos()[:, :channels].contiguous(memory_format=torch.channels_last)
    for kind in (TrivialAugment(), RandAugment()):
        for sign in (0, 1):
            strength, signs = torch.tensor([0, 4, 11, 17, 25, 30]), torch.full((6,), sign)
            values = kind.values(name, strength, signs, 40, 32)
            together = KERNELS[name](images, values)
            for place, (image, value) in enumerate(zip(images.split(1), values.split(1), strict=True)):
                assert torch.equal(KERNELS[name](image, value)[0], together[place]), value


@pytest.mark.parametrize("pixels", [-33.0, -32.0, 31.0, 100.0])
def test_a_shift_of_more_than_the_image_leaves_nothing(pixels: float) -> None:
    images = photos(1)
    moved = kernels.translate_x(images, torch.tensor([pixels]))
    assert bool(moved.any()) == (abs(pixels) < 32)
    assert torch.equal(moved, kernels.translate_x(images.repeat(2, 1, 1, 1), torch.full((2,), pixels))[:1])


@pytest.mark.parametrize("augmentation", [TrivialAugment(), RandAugment(), ColorJitter(0.4, 0.4, 0.4, 0.1)])
def test_large_images_are_changed_in_place_as_small_ones_in_groups(
    augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, rows = photos(24), torch.arange(24)
    together = augmentation(images, rows, seed=0, epoch=1)
    monkeypatch.setattr(kernels, "_ALONE", 1)
    assert torch.equal(augmentation(images, rows, seed=0, epoch=1), together)


def test_strengths_are_torchvisions() -> None:
    strength, zero = torch.arange(31), torch.zeros(31, dtype=torch.long)
    spaces = {TrivialAugment(): v2.TrivialAugmentWide, RandAugment(): v2.RandAugment}
    for ours, theirs in spaces.items():
        names = dict(zip(KERNELS, theirs._AUGMENTATION_SPACE.items(), strict=True))
        for name, (_, (magnitudes, signed)) in names.items():
            expected = magnitudes(31, 40, 32)
            if expected is not None:
                value = ours.values(name, strength, zero, 40, 32)
                torch.testing.assert_close(value, expected.float() + (name in FACTORS), atol=1e-5, rtol=0)
                mirrored = ours.values(name, strength, zero + 1, 40, 32)
                assert torch.allclose(mirrored, value) == (not signed)


def test_kinds_strengths_and_signs_are_uniform() -> None:
    kind, strength, sign = TrivialAugment().choices(ROWS, 0, seed=0, epoch=0)
    assert torch.bincount(kind, minlength=14).min() > 0.7 * len(ROWS) / 14
    assert torch.bincount(strength, minlength=31).min() > 0.5 * len(ROWS) / 31
    assert sign.double().mean().item() == pytest.approx(0.5, abs=0.03)
    first, second = (RandAugment().choices(ROWS, turn, seed=0, epoch=0)[0] for turn in (0, 1))
    assert (first == second).double().mean().item() == pytest.approx(1 / 14, abs=0.02), "they are independent"


# -- colour jitter -----------------------------------------------------------------------------------------------------


def test_jitter_is_torchvisions_image_by_image() -> None:
    images, jitter = photos(), ColorJitter(0.4, 0.5, 0.6, 0.2)
    strengths, order = jitter.strengths(ROWS[:6], 0, 0), jitter.order(ROWS[:6], 0, 0)
    result = jitter(images, ROWS[:6], seed=0, epoch=0)
    changes = [F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue]
    for number, image in enumerate(images):
        for turn in range(4):
            which = int(order[turn, number])
            image = changes[which](image, float(strengths[which, number]))
        assert share_equal(result[number], image, levels=4) > 0.99


@pytest.mark.parametrize("shift", [-0.5, -0.21, 0.0, 0.1, 0.37, 0.5])
def test_hue_is_torchvisions(shift: float) -> None:
    images = photos()
    assert share_equal(kernels.hue(images, torch.full((6,), shift)), F.adjust_hue(images, shift)) > 0.995


def test_jitter_has_torchvisions_distribution() -> None:
    strengths, order = ColorJitter(0.4, 0.5, 1.5, 0.2).strengths(ROWS, 0, 0), ColorJitter().order(ROWS, 0, 0)
    for number, (low, high) in enumerate([(0.6, 1.4), (0.5, 1.5), (0.0, 2.5), (-0.2, 0.2)]):
        assert low <= strengths[number].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < strengths[number].max() <= high
        assert strengths[number].mean().item() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
        assert order[number].float().mean().item() == pytest.approx(1.5, abs=0.1)
    assert torch.equal(order.sort(0).values, torch.arange(4).unsqueeze(1).expand(4, len(ROWS)))


# -- random erasing ----------------------------------------------------------------------------------------------------


def test_erased_rectangles_have_torchvisions_distribution() -> None:
    top, left, height, width = RandomErasing(1.0).boxes(ROWS, 48, 64, seed=0, epoch=0)
    torch.manual_seed(0)
    image, transform = torch.zeros(3, 48, 64), v2.RandomErasing(p=1.0)
    drawn = [transform.make_params([image]) for _ in range(2000)]
    for ours, name in ((top, "i"), (left, "j"), (height, "h"), (width, "w")):
        compared(ours, [float(each[name]) for each in drawn])
    none = RandomErasing(0.25).boxes(ROWS, 48, 64, seed=0, epoch=0)[2] == 0
    assert none.double().mean().item() == pytest.approx(0.75, abs=0.03)


def test_an_erased_rectangle_is_grey_and_ignored_in_masks() -> None:
    images, masks = photos(), torch.zeros(6, 40, 32, dtype=torch.uint8)
    erasing = RandomErasing(1.0, fill=7)
    result, ignored = erasing.with_masks(images, masks, ROWS[:6], 0, 0, ignored=255)
    for number, (top, left, height, width) in enumerate(erasing.boxes(ROWS[:6], 40, 32, 0, 0).t().tolist()):
        expected, mask = images[number].clone(), masks[number].clone()
        expected[:, top : top + height, left : left + width] = 7
        mask[top : top + height, left : left + width] = 255
        assert torch.equal(result[number], expected)
        assert torch.equal(ignored[number], mask)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomResizedCrop(scale=(0.9, 0.5)), "scale must be two ascending"),
        (lambda: RandomResizedCrop(ratio=(0.0, 1.0)), "ratio must be two ascending"),
        (lambda: RandomErasing(scale=(0.1, 2.0)), "scale must be two ascending"),
        (lambda: RandomErasing(probability=2.0), "probability must be in"),
        (lambda: ColorJitter(hue=0.7), "hue must be in"),
        (lambda: RandAugment(strength=31), "strength must be in"),
    ],
)
def test_wrong_arguments(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_place_that_is_no_number_is_black() -> None:
    """On a GPU each change is computed for all images, also with strengths that are not meant for it."""
    assert kernels.moved(photos(2), torch.full((2, 2, 3), torch.nan)).count_nonzero() == 0
