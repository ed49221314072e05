"""Split images by what they are, not by where they stand, so that adding or deleting some moves no others."""

import numpy as np
import torch
from torch import Tensor

from datamodules.memory.split import TEST_SEED
from foundation.counter_random import mix, random_bits

_TEST, _VALIDATION = 12, 13  # random streams: one number for each kind of choice


def split_by_content(keys: Tensor, targets: Tensor, share: float, choice: int, keep: int = 1) -> tuple[Tensor, Tensor]:
    r"""Split images into two sets: an image is in the second set if the hash of its content is below ``share``.

    The hash is uniform in [0, 1), so that of n images of a class about ``share`` · n are in the second set, give or
    take :math:`\\sqrt{n \\cdot share \\cdot (1 - share)}`. No image depends on others, with one exception: a class of
    two images or more has at least one in the second set (the one with the smallest hash), and leaves ``keep`` in the
    first, if it has as many. A class of one image has none in the second. Files with the same content are in the same
    set.

    Args:
        keys: Hash of each image's content.
        targets: Class of each image, or several labels; those are not stratified.
        share: Share of the second set, in (0, 1).
        choice: Key of the hash, from :func:`choice_of_test` or :func:`choice_of_validation`.
        keep: Images of a class that stay in the first set, ≥ 1.

    Shape:
        keys ``(N,)`` int64, targets ``(N,)`` or ``(N, K)`` → rows of the first set ``(N − M,)``, rows of the second
        ``(M,)``, both ascending.

    Example:
        >>> keys, targets = torch.arange(100), torch.arange(100) % 2
        >>> first, second = split_by_content(keys, targets, 0.2, choice_of_test())
        >>> fewer = split_by_content(keys[1:], targets[1:], 0.2, choice_of_test())[1] + 1
        >>> set(fewer.tolist()) <= set(second.tolist())
        True
    """
    places = uniform(keys, choice).numpy()
    groups = targets.numpy() if targets.ndim == 1 else np.zeros(len(keys), np.int64)
    order = np.lexsort((places, groups))  # class by class, in each by hash
    counts = np.bincount(groups, minlength=1)
    ends = np.cumsum(counts)
    below = np.bincount(groups[places < share], minlength=len(counts))
    least = np.minimum(1, counts - 1).clip(0)
    chosen = np.clip(below, least, np.maximum(counts - np.minimum(keep, counts - 1).clip(1), least))
    second = np.zeros(len(keys), bool)
    for end, count, number in zip(ends, counts, chosen, strict=True):
        second[order[end - count : end - count + number]] = True
    rows = torch.from_numpy(second)
    return (~rows).nonzero().flatten(), rows.nonzero().flatten()


def uniform(keys: Tensor, choice: int) -> Tensor:
    """Return a number in [0, 1) for each image, a function of its content and the choice, float64."""
    return ((random_bits(choice, keys) >> 11) & ((1 << 53) - 1)).double() / (1 << 53)


def choice_of_test() -> int:
    """Return the key of the test set, the same in every run, so that none is tuned on its images."""
    return mix(TEST_SEED, _TEST)


def choice_of_validation(seed: int) -> int:
    """Return the key of the validation set of a ``split_seed``."""
    return mix(seed, _VALIDATION)
