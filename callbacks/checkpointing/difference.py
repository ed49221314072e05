"""List in which values two checkpoints differ, bit by bit."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

PROVENANCE = tuple(f"descent.{name}" for name in ("saved:", "config:", "git", "host:", "versions", "platform:"))


def differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two nested structures differ in any bit; NaN equals NaN.

    Example:
        >>> list(differences({"a": [1, 2], "b": torch.zeros(2)}, {"a": [1, 3], "b": torch.tensor([0.0, 2.0])}))
        ['a.1: 2, 3', 'b: 1 of 2 values, by up to 2']
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in dict.fromkeys([*first, *second]):
            where = f"{path}.{key}" if path else str(key)
            if key in first and key in second:
                yield from differences(first[key], second[key], where)
            else:
                yield f"{where}: only in the {'first' if key in first else 'second'}"
    elif isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        for index, (one, other) in enumerate(zip(first, second, strict=True)):
            yield from differences(one, other, f"{path}.{index}")
    elif not same(first, second):
        yield f"{path}: {_describe(first, second)}"


def meaningful(found: Iterable[str]) -> list[str]:
    """Leave out what changes no result: batch counters of the last validation, when and where the file was saved."""
    return [line for line in found if ".val_loop." not in line and not line.startswith(PROVENANCE)]


def same(first: Any, second: Any) -> bool:
    """Return whether two leaves are equal bit for bit."""
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and first.shape == second.shape and _bits_equal(first.cpu(), second.cpu())
    if isinstance(first, Tensor) or isinstance(second, Tensor):
        return False
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first):
        return math.isnan(second)
    return bool(first == second)


def _bits_equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first.contiguous().view(-1).view(torch.uint8), second.contiguous().view(-1).view(torch.uint8))


def _describe(first: Any, second: Any) -> str:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        if first.shape != second.shape or first.dtype != second.dtype:
            return f"{tuple(first.shape)} {first.dtype}, {tuple(second.shape)} {second.dtype}"
        gap = (first.double() - second.double()).abs()
        return f"{int((gap > 0).sum())} of {gap.numel()} values, by up to {gap.max().item():.3g}"
    return f"{first!r:.60}, {second!r:.60}"
