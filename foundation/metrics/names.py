"""Names of logged values: what `train_loss`, `loss/train` and `train/loss` have in common."""

import re
from collections.abc import Iterable

STAGES = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
NO_QUANTITY = ("lr", "grad", "layer", "weights")
"""First words of values that belong to a group or layer, which may have any name."""
QUANTITIES = {"acc": "accuracy", "top1": "accuracy", "top5": "accuracy_top5"}


def canonical(name: str) -> str:
    """Return a name as Descent's own modules log it, `<stage>/<quantity>`; unchanged if it names no stage.

    The stage stands first or last, set off by `/`, `_`, `.`, `-` or a space.

    Example:
        >>> [canonical(name) for name in ("val_loss", "Loss/train", "validation-acc", "train/accuracy_top5")]
        ['val/loss', 'train/loss', 'val/accuracy', 'train/accuracy_top5']
        >>> [canonical(name) for name in ("value_loss", "lr", "val", "train_time_per_step_test_set")]
        ['value_loss', 'lr', 'val', 'train/time_per_step_test_set']
    """
    words = re.split(r"[/_.\- ]+", name.lower())
    if words[0] in NO_QUANTITY:
        return name
    for place in (0, -1):
        stage = STAGES.get(words[place])
        rest = words[1:] if place == 0 else words[:-1]
        if stage and rest and all(rest):
            quantity = "_".join(rest)
            return f"{stage}/{QUANTITIES.get(quantity, quantity)}"
    return name


def by_canonical_name(names: Iterable[str]) -> dict[str, str]:
    """Return the names by their canonical ones; where two have the same, the one that is written so, else the first.

    Example:
        >>> by_canonical_name(["val_loss", "val/loss", "loss/train"])
        {'val/loss': 'val/loss', 'train/loss': 'loss/train'}
    """
    found: dict[str, str] = {}
    for name in names:
        key = canonical(name)
        if key not in found or key == name:
            found[key] = name
    return found
