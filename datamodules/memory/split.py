"""Splits of rows into two sets, chosen by a seed: stratified by class, or random."""

import torch
from torch import Tensor

from foundation.counter_random import mix
from foundation.errors import UserError

TEST_SEED = 0
"""Seed that splits off the test set of data that has none: the same rows in every run, so that none is tuned on."""

_STRATIFIED, _RANDOM = 1, 5  # random streams: one number for each kind of choice


def stratified_split(targets: Tensor, share: float, seed: int, class_names: list[str]) -> tuple[Tensor, Tensor]:
    """Split rows into two sets so that ``round(share · count)`` rows of each class are in the second.

    Args:
        targets: Classes of the rows.
        share: Share of each class that goes into the second set, in (0, 1).
        seed: ≥ 0; the same seed gives the same split.
        class_names: Name of each class, for the message.

    Shape:
        targets ``(N,)`` → rows of the first set ``(N − M,)``, rows of the second ``(M,)``, both ascending.

    Raises:
        UserError: If a class would be missing in either set.

    Example:
        >>> first, second = stratified_split(torch.arange(10) % 2, 0.2, seed=0, class_names=["even", "odd"])
        >>> len(first), sorted((second % 2).tolist())
        (8, [0, 1])
    """
    generator = torch.Generator().manual_seed(mix(seed, _STRATIFIED))
    second = torch.zeros(len(targets), dtype=torch.bool)
    for target, name in enumerate(class_names):
        rows = (targets == target).nonzero().flatten()
        chosen = int(share * len(rows) + 0.5)
        if not 0 < chosen < len(rows):
            raise UserError(
                f"class {name!r} has {len(rows)} image{'' if len(rows) == 1 else 's'}: a share of {share:g} leaves "
                f"{len(rows) - chosen} for training and {chosen} for validation; give it more images, change "
                "val_share, or provide a validation folder if the data comes from one."
            )
        second[rows[torch.randperm(len(rows), generator=generator)[:chosen]]] = True
    return (~second).nonzero().flatten(), second.nonzero().flatten()


def random_split(count: int, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Split rows ``0 … count − 1`` into two sets, ``round(share · count)`` of them in the second, both ascending.

    Example:
        >>> first, second = random_split(10, 0.3, seed=0)
        >>> len(first), len(second)
        (7, 3)
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, _RANDOM)))
    chosen = int(share * count + 0.5)
    return order[chosen:].sort().values, order[:chosen].sort().values
