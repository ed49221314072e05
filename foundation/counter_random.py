"""Random integers that are a pure function of (seed, epoch, image, stream): no state, the same on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: consecutive counters land far apart
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SHIFTS = (30, 27, 31)


def mix(*words: int) -> int:
    """Fold integers, in this order, into one 64-bit key; on the host, so that a step never waits for the device.

    Args:
        words: Any integers, e.g. seed, epoch; taken modulo 2⁶⁴. Another order gives another key.

    Example:
        >>> mix(0, 1) == mix(0, 1), mix(0, 1) == mix(1, 0)
        (True, False)
    """
    state = 0
    for word in words:
        state = _finalise((state + word + _GOLDEN) & _MASK)
    return state


def random_bits(key: int, counters: Tensor) -> Tensor:
    r"""64 random bits for each counter: SplitMix64's finaliser of ``key + counter · golden``, in wrapping int64.

    Args:
        key: From :func:`mix`: what all the counters share (seed, epoch, what the number is for).
        counters: Integers that tell the samples apart, e.g. image numbers.

    Shape:
        counters ``(B,)`` int64 → ``(B,)`` int64, every bit random (so half of them negative).

    Example:
        >>> import torch
        >>> random_bits(mix(7), torch.arange(2))
        tensor([..., ...])

    Reference:
        G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators", 2014.
    """
    bits = counters * _signed(_GOLDEN) + _signed(key)
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        bits = (bits ^ _shift_right(bits, shift)) * _signed(multiplier)
    return bits ^ _shift_right(bits, _SHIFTS[-1])


def random_below(bound: int, key: int, counters: Tensor) -> Tensor:
    """Return a random integer in ``[0, bound)`` per counter: ``(high 32 bits · bound) >> 32``, biased by < bound / 2³².

    Args:
        bound: How many values, in ``[1, 2³¹]``; 1 gives zeros.
        key: See :func:`random_bits`.
        counters: See :func:`random_bits`.

    Shape:
        counters ``(B,)`` int64 → ``(B,)`` int64.

    Raises:
        ValueError: If ``bound`` is outside its range.

    Example:
        >>> import torch
        >>> random_below(5, mix(0, 3), torch.arange(1000)).unique()
        tensor([0, 1, 2, 3, 4])
    """
    if not 1 <= bound <= 1 << 31:
        raise ValueError(f"bound must be in [1, 2^31], got {bound}.")
    return (_shift_right(random_bits(key, counters), 32) * bound) >> 32


def _finalise(word: int) -> int:
    for shift, multiplier in zip(_SHIFTS, _MULTIPLIERS, strict=False):
        word = ((word ^ (word >> shift)) * multiplier) & _MASK
    return word ^ (word >> _SHIFTS[-1])


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


def _shift_right(bits: Tensor, shift: int) -> Tensor:
    # torch's >> keeps the sign of an int64; the mask makes it the unsigned shift that the generator is defined by
    return (bits >> shift) & ((1 << (64 - shift)) - 1)
