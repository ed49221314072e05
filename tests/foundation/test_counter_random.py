"""The random integers: right numbers, even spread, nothing in common between streams, epochs and images."""

import itertools

import pytest
import torch
from scipy import stats

from foundation.counter_random import mix, random_below, random_bits

COUNT = 50_000
MASK = (1 << 64) - 1
P_LEAST = 1e-4  # deterministic numbers: this is passed or not, once and for all


def splitmix64(state: int) -> int:
    """The reference: the output function of Java's SplittableRandom, written out in unbounded integers."""
    z = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def draws(bound: int, *words: int) -> torch.Tensor:
    return random_below(bound, mix(*words), torch.arange(COUNT))


def p_of_independence(first: torch.Tensor, second: torch.Tensor, bound: int) -> float:
    table = torch.bincount(first * bound + second, minlength=bound * bound).view(bound, bound)
    return float(stats.chi2_contingency(table.numpy()).pvalue)


@pytest.mark.parametrize("key", [0, 1, mix(3, 4), MASK])
def test_bits_equal_the_reference(key: int) -> None:
    counters = [0, 1, 2, 49_999, 2**40, 2**63 - 1]
    expected = [splitmix64((key + counter * 0x9E3779B97F4A7C15) & MASK) for counter in counters]
    bits = random_bits(key, torch.tensor(counters))
    assert [value & MASK for value in bits.tolist()] == expected


def test_published_sequence() -> None:
    # the first outputs of SplitMix64 seeded with 1234567, as published with the xoshiro generators
    bits = random_bits(1234567, torch.arange(1, 4))
    assert [value & MASK for value in bits.tolist()] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]


@pytest.mark.parametrize("bound", [2, 3, 5, 9, 17, 1000])
@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_even_spread(bound: int, seed: int) -> None:
    values = draws(bound, seed, 0, 2)
    assert values.min() >= 0
    assert values.max() < bound
    assert stats.chisquare(torch.bincount(values, minlength=bound).numpy()).pvalue > P_LEAST


@pytest.mark.parametrize("bound", [2, 5, 9])
def test_streams_epochs_and_seeds_are_independent(bound: int) -> None:
    keys = [(0, 0, 2), (0, 1, 2), (0, 2, 2), (0, 0, 3), (0, 0, 4), (1, 0, 2), (2, 0, 2)]
    for one, other in itertools.combinations(keys, 2):
        assert p_of_independence(draws(bound, *one), draws(bound, *other), bound) > P_LEAST, (one, other)


@pytest.mark.parametrize("distance", [1, 2, 3, 10, 500])
def test_neighbouring_images_are_independent(distance: int) -> None:
    values = draws(5, 0, 0, 2)
    assert p_of_independence(values[:-distance], values[distance:], 5) > P_LEAST


def test_one_image_over_many_epochs_is_even() -> None:
    values = torch.stack([random_below(5, mix(0, epoch, 2), torch.tensor([7, 8])) for epoch in range(5_000)])
    for image in range(2):
        assert stats.chisquare(torch.bincount(values[:, image], minlength=5).numpy()).pvalue > P_LEAST


def test_every_output_bit_flips_half_the_time_when_an_input_bit_does() -> None:
    counters = torch.arange(20_000)
    before = random_bits(mix(0), counters)
    for bit in (0, 1, 7, 20, 40):
        changed = before ^ random_bits(mix(0), counters ^ (1 << bit))
        share = torch.stack([(changed >> place & 1).double().mean() for place in range(64)])
        assert (share - 0.5).abs().max() < 5 * 0.5 / 10_000**0.5  # 10,000 different pairs


def test_order_of_words_matters() -> None:
    assert len({mix(0, 1), mix(1, 0), mix(1), mix(0), mix(), mix(0, 0)}) == 6


def test_negative_and_huge_seeds_are_taken() -> None:
    assert mix(-1) == mix(MASK)
    assert mix(1 << 64) == mix(0)


@pytest.mark.parametrize("bound", [0, -1, (1 << 31) + 1])
def test_bound_outside_its_range(bound: int) -> None:
    with pytest.raises(ValueError, match=r"bound must be in \[1, 2\^31\], got"):
        random_below(bound, 0, torch.arange(3))


def test_largest_bound_stays_inside() -> None:
    values = random_below(1 << 31, mix(5), torch.arange(COUNT))
    assert values.min() >= 0
    assert values.max() < 1 << 31
    assert stats.kstest(values.double().numpy() / 2**31, "uniform").pvalue > P_LEAST
