"""Dynamic data pruning: which samples an epoch leaves out, and that the weights keep the expected gradient."""

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import Tensor

from datamodules import Pruning
from datamodules.memory.pruning.method import DRAWN, KEPT, OUT, PLAIN

SIZES = [(6, 1 / 3), (10, 0.3), (10, 0.5), (10, 0.7), (7, 0.5), (1000, 0.001), (3, 0.9), (2, 0.5), (1, 0.9), (5, 0.0)]


def subsets(pruning: Pruning, samples: int) -> Tensor:
    """Every choice of the samples 0, 1, …, of which the first ones have the lowest losses, as rows of codes."""
    candidates, out = pruning.candidates(samples), samples - pruning.kept(samples)
    choices = torch.full((math.comb(candidates, out), samples), KEPT, dtype=torch.int8)
    choices[:, :candidates] = DRAWN
    for choice, left_out in zip(choices, itertools.combinations(range(candidates), out), strict=True):
        choice[list(left_out)] = OUT
    return choices


@pytest.mark.parametrize(("samples", "ratio"), [size for size in SIZES if size[0] <= 10])
def test_the_weighted_mean_over_a_choice_is_unbiased(samples: int, ratio: float) -> None:
    """Exactly, by enumeration: the mean over all choices, each as likely, is the mean over all samples."""
    pruning = Pruning(ratio)
    gradients = torch.randn(samples, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    choices = subsets(pruning, samples)
    weights = pruning.weights(samples).double()[choices.int()]
    assert set((choices != OUT).sum(dim=1).tolist()) == {pruning.kept(samples)}
    means = weights @ gradients / pruning.kept(samples)
    torch.testing.assert_close(means.mean(dim=0), gradients.mean(dim=0), rtol=1e-6, atol=1e-7)


def test_each_choice_is_as_likely() -> None:
    pruning, losses = Pruning(1 / 3), torch.arange(6.0)
    drawn = torch.stack([pruning.choose(losses, seed=0, epoch=epoch) for epoch in range(600)])
    counts = [int((drawn == choice).all(dim=1).sum()) for choice in subsets(pruning, 6)]
    assert sum(counts) == 600
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(("samples", "ratio"), SIZES)
def test_what_is_left_out_is_among_the_lowest_losses(samples: int, ratio: float) -> None:
    pruning = Pruning(ratio)
    losses = torch.randn(samples, generator=torch.Generator().manual_seed(1))
    losses[::4] = math.inf  # not known
    choice = pruning.choose(losses, seed=2, epoch=3)
    assert int((choice != OUT).sum()) == pruning.kept(samples)
    assert int((choice != KEPT).sum()) == pruning.candidates(samples)
    if (choice == KEPT).any():
        assert losses[choice != KEPT].max() <= losses[choice == KEPT].min()


def test_a_choice_depends_on_seed_epoch_and_losses_only() -> None:
    pruning, losses = Pruning(0.5), torch.rand(50)
    state = torch.get_rng_state()
    one = pruning.choose(losses, seed=1, epoch=2)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one, pruning.choose(losses.clone(), seed=1, epoch=2))
    for seed, epoch, others in ((2, 2, losses), (1, 3, losses), (1, 2, losses.flip(0))):
        assert not torch.equal(one, pruning.choose(others, seed=seed, epoch=epoch))


def test_equal_and_unknown_losses_are_ordered_at_random() -> None:
    pruning = Pruning(0.5)
    kept = torch.stack([pruning.choose(torch.full((8,), math.nan), 0, epoch) == KEPT for epoch in range(400)])
    assert kept.float().mean(dim=0).sub(0.25).abs().max() < 0.1


@pytest.mark.parametrize(("samples", "ratio"), SIZES)
def test_epochs_in_turn_take_every_sample_equally_often(samples: int, ratio: float) -> None:
    pruning, taken = Pruning(ratio), torch.zeros(samples)
    for epoch in range(5, 18):
        choice = pruning.in_turn(samples, seed=4, epoch=epoch)
        assert int((choice == PLAIN).sum()) == pruning.kept(samples)
        assert int((choice == OUT).sum()) == samples - pruning.kept(samples)
        taken += choice == PLAIN
        assert taken.max() - taken.min() <= 1


@pytest.mark.parametrize(
    ("epochs", "shares", "phases"),
    [
        (20.0, (0.1, 0.125), (2, 17)),
        (16.0, (0.0, 0.0), (0, 16)),
        (2.5, (0.1, 0.125), (0, 2)),
        (1.0, (0.1, 0.125), (0, 0)),
        (4.0, (0.5, 0.5), (2, 2)),
        (None, (0.0, 0.0), (0, math.inf)),
    ],
)
def test_phases(epochs: float | None, shares: tuple[float, float], phases: tuple[int, float]) -> None:
    assert Pruning(0.3, *shares).phases(epochs) == phases


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 1.0}, r"ratio must be in \[0, 1\), got 1.0"),
        ({"ratio": -0.1}, r"ratio must be in \[0, 1\), got -0.1"),
        ({"ratio": math.nan}, r"ratio must be in \[0, 1\), got nan"),
        ({"warmup": 1.5}, r"warmup must be in \[0, 1\], got 1.5"),
        ({"annealing": -1.0}, r"annealing must be in \[0, 1\], got -1.0"),
        ({"warmup": 0.6, "annealing": 0.5}, "at most 1 together"),
    ],
)
def test_arguments_outside_their_ranges(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pruning(**arguments)
