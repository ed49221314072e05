"""The distance against SciPy's, along each direction."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from lightning_modules.adversarial.sliced_wasserstein import SlicedWasserstein


def test_is_the_mean_of_scipys_distances_along_its_directions() -> None:
    g = torch.Generator().manual_seed(1)
    real, fake = torch.randn(30, 1, 4, 4, generator=g), 0.5 + torch.rand(30, 1, 4, 4, generator=g)
    distance = SlicedWasserstein(directions=16)
    for start in (0, 10):
        stop = 10 if start == 0 else 30
        distance.update(real[start:stop], fake[start:stop])
    np.testing.assert_allclose(distance.theta.norm(dim=0), 1, rtol=1e-6)
    sides = [(images.flatten(1) @ distance.theta).numpy().T for images in (real, fake)]
    expected = np.mean([wasserstein_distance(x, y) for x, y in zip(*sides, strict=True)])
    assert distance.compute().item() == pytest.approx(expected, rel=1e-6)


def test_sees_a_collapse_that_the_mean_does_not() -> None:
    g = torch.Generator().manual_seed(1)
    real, other = torch.randn(200, 1, 4, 4, generator=g), torch.randn(200, 1, 4, 4, generator=g)
    same, collapsed = SlicedWasserstein(), SlicedWasserstein()
    same.update(real, other)
    collapsed.update(real, other.mean(dim=0).expand_as(real))
    assert same.compute() < 0.2
    assert collapsed.compute() > 4 * same.compute()


def test_refuses_no_directions() -> None:
    with pytest.raises(ValueError, match="directions must be ≥ 1, got 0"):
        SlicedWasserstein(directions=0)
