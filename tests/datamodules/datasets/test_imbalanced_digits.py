"""Imbalanced digits: class sizes fall geometrically, and validation and test are balanced."""

import pytest
import torch

from datamodules import DigitsDataModule, ImbalancedDigitsDataModule


@pytest.mark.parametrize("ratio", [1.0, 10.0, 100.0])
def test_class_sizes_fall_and_evaluation_is_balanced(ratio: float) -> None:
    data = ImbalancedDigitsDataModule(ratio=ratio)
    counts = torch.bincount(data.training_images().targets).tolist()
    assert counts[0] / counts[9] == pytest.approx(ratio, rel=0.5 / counts[9] + 1e-9)
    assert counts == sorted(counts, reverse=True)
    assert torch.bincount(data.validation_images().targets).tolist() == [30] * 10
    assert torch.bincount(data.test_images().targets).tolist() == [34] * 10


def test_no_scan_is_in_two_sets() -> None:
    data = ImbalancedDigitsDataModule(ratio=1)
    whole = DigitsDataModule().training_images().pixels.flatten(1)
    sets = [data.training_images().pixels.flatten(1), data.validation_images().pixels.flatten(1)]
    joined = torch.cat(sets)
    assert len(joined.unique(dim=0)) == len(joined)
    assert len(torch.cat([whole, joined]).unique(dim=0)) == len(whole.unique(dim=0))


@pytest.mark.parametrize("ratio", [0.5, 1000.0])
def test_ratio_outside_its_range(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"ratio must be in \[1, 200\], got"):
        ImbalancedDigitsDataModule(ratio=ratio)
