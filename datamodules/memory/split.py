"""A stratified split: the same share of every class, chosen by a seed."""

import torch
from torch import Tensor

from foundation.counter_random import mix
from foundation.errors import UserError

_SPLIT = 1


def stratified_split(targets: Tensor, share: float, seed: int, class_names: list[str]) -> tuple[Tensor, Tensor]:
    """Split rows into two sets so that of each class ``round(share · count)`` rows are in the second.

    Args:
        targets: Classes of the rows.
        share: In (0, 1): of each class, how much goes into the second set.
        seed: ≥ 0; the same seed gives the same split.
        class_names: By class, for the message.

    Shape:
        targets ``(N,)`` → rows of the first set ``(N − M,)``, rows of the second ``(M,)``, both rising.

    Raises:
        UserError: If a class would be missing in either set.

    Example:
        >>> first, second = stratified_split(torch.arange(10) % 2, 0.2, seed=0, class_names=["even", "odd"])
        >>> len(first), sorted((second % 2).tolist())
        (8, [0, 1])
    """
    generator = torch.Generator().manual_seed(mix(seed, _SPLIT))
    second = torch.zeros(len(targets), dtype=torch.bool)
    for target, name in enumerate(class_names):
        rows = (targets == target).nonzero().flatten()
        chosen = int(share * len(rows) + 0.5)
        if not 0 < chosen < len(rows):
            raise UserError(_too_few(name, len(rows), chosen, share))
        second[rows[torch.randperm(len(rows), generator=generator)[:chosen]]] = True
    return (~second).nonzero().flatten(), second.nonzero().flatten()


def _too_few(name: str, count: int, chosen: int, share: float) -> str:
    return (
        f"class {name!r} has {count} image{'' if count == 1 else 's'}: a share of {share:g} leaves "
        f"{count - chosen} for training and {chosen} for validation; give it more images, change val_share, "
        "or provide a validation folder if the data comes from one."
    )
