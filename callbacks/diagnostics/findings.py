"""What a run's diagnostics say, in plain words."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


DEAD = 0.25
FROZEN = 1e-7
WILD = 0.1
VANISHING = 1e-4
SATURATED = 0.5


def findings(table: "pd.DataFrame", trainable: Mapping[str, bool]) -> list[str]:
    """Sentences about what is wrong, the worst kind first; empty where nothing is.

    Args:
        table: Columns `step`, `epoch` (from 0), `layer`, `quantity`, `value`.
        trainable: Whether any parameter of a layer is trained, by its name.
    """
    return [*_wild(table), *_dead(table), *_frozen(table, trainable), *_vanishing(table), *_saturated(table)]


def _of(table: "pd.DataFrame", quantity: str) -> "pd.DataFrame":
    return table[table["quantity"] == quantity]


def _medians(table: "pd.DataFrame", quantity: str) -> dict[str, float]:
    return {
        str(layer): float(rows["value"].median()) for layer, rows in _of(table, quantity).groupby("layer", sort=False)
    }


def _dead(table: "pd.DataFrame") -> list[str]:
    said = []
    for layer, rows in _of(table, "dead").groupby("layer", sort=False):
        last = float(rows["value"].iloc[-1])
        if last < DEAD:
            continue
        alive = rows[rows["value"] < DEAD]
        since = int(rows["epoch"].iloc[0] if alive.empty else alive["epoch"].iloc[-1] + 1) + 1
        said.append(
            f"{layer}: {last:.0%} of units dead since epoch {since} (0 for every sampled figure of an epoch); try a "
            "lower learning rate, a warmup, or LeakyReLU or GELU in its place."
        )
    return said


def _wild(table: "pd.DataFrame") -> list[str]:
    ratios = _medians(table, "update")
    wild = [layer for layer, ratio in ratios.items() if ratio > WILD]
    if not wild:
        return []
    worst = max(wild, key=lambda layer: ratios[layer])
    return [
        f"{len(wild)} of {len(ratios)} layers change by more than {WILD:.0%} of their size in a step (most: {worst}, "
        f"{ratios[worst]:.0%}): the learning rate is too high; usual is about 0.1 %. Try a tenth, or descent find-lr."
    ]


def _frozen(table: "pd.DataFrame", trainable: Mapping[str, bool]) -> list[str]:
    off = [f"{layer}: not trained, requires_grad is off." for layer, on in trainable.items() if not on]
    ratios = _medians(table, "update")
    still = [layer for layer, ratio in ratios.items() if ratio < FROZEN and trainable.get(layer, True)]
    if still and len(still) < len(ratios):
        off += [
            f"{layer}: frozen, its weights do not move (update {ratios[layer]:.1g} of their size); see that the loss "
            "depends on it, and that the optimizer has its parameters."
            for layer in still
        ]
    return off


def _vanishing(table: "pd.DataFrame") -> list[str]:
    norms = {layer: norm for layer, norm in _medians(table, "gradient").items() if norm > 0}
    if len(norms) < 3:
        return []
    largest = max(norms.values())
    small = [layer for layer, norm in norms.items() if norm < VANISHING * largest]
    if not small:
        return []
    return [
        f"Gradients vanish in {', '.join(small[:5])}: below {VANISHING:g} of the largest layer's; try normalisation "
        "layers, skip connections, or another initialisation."
    ]


def _saturated(table: "pd.DataFrame") -> list[str]:
    shares = _medians(table, "saturated")
    return [
        f"{layer}: {share:.0%} of its outputs lie at a bound, where there is no gradient; try smaller weights at the "
        "start, normalisation before it, or ReLU or GELU in its place."
        for layer, share in shares.items()
        if share >= SATURATED
    ]
