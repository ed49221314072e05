"""Stratified split: shares, seeds, disjoint sets, and an error for a class that is too small."""

import pytest
import torch

from datamodules.memory.split import stratified_split
from foundation.errors import UserError

NAMES = ["a", "b", "c"]
TARGETS = torch.tensor([0] * 100 + [1] * 40 + [2] * 15)


@pytest.mark.parametrize(("share", "counts"), [(0.1, [10, 4, 2]), (0.5, [50, 20, 8]), (0.9, [90, 36, 14])])
def test_share_of_every_class(share: float, counts: list[int]) -> None:
    first, second = stratified_split(TARGETS, share, 0, NAMES)
    assert torch.bincount(TARGETS[second]).tolist() == counts
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(155))
    assert torch.equal(first, first.sort().values)
    assert torch.equal(second, second.sort().values)


def test_seed_decides() -> None:
    one, again, other = (stratified_split(TARGETS, 0.2, seed, NAMES)[1] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_every_row_of_a_class_is_equally_likely() -> None:
    chosen = torch.zeros(155)
    for seed in range(400):
        chosen[stratified_split(TARGETS, 0.1, seed, NAMES)[1]] += 1
    assert (chosen[:100] / 400 - 0.1).abs().max() < 5 * (0.1 * 0.9 / 400) ** 0.5


@pytest.mark.parametrize(
    ("share", "message"),
    [
        (0.01, "class 'b' has 40 images: a share of 0.01 leaves 40 for training and 0 for validation"),
        (0.99, "class 'b' has 40 images: a share of 0.99 leaves 0 for training and 40 for validation"),
    ],
)
def test_class_without_a_sample(share: float, message: str) -> None:
    with pytest.raises(UserError, match=message):
        stratified_split(TARGETS, share, 0, NAMES)


def test_class_of_one_image() -> None:
    with pytest.raises(UserError, match=r"class 'b' has 1 image: .* change val_share"):
        stratified_split(torch.tensor([0, 0, 1]), 0.5, 0, ["a", "b"])
