"""Describe the problems that the diagnostics of a run show."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


DEAD = 0.25  # share of units
FROZEN = 1e-7  # update relative to the weights
LARGE_UPDATE = 0.1
VANISHING = 1e-4  # gradient norm relative to the largest layer's
SATURATED = 0.5  # share of outputs


def findings(table: "pd.DataFrame", trainable: Mapping[str, bool]) -> list[str]:
    """Return sentences about problems, the worst kind first; empty without any.

    Args:
        table: Columns `step`, `epoch` (from 0), `layer`, `quantity`, `value`.
        trainable: Whether any parameter of a layer is trainable, by the layer's name.
    """
    return [*_large_updates(table), *_dead(table), *_frozen(table, trainable), *_vanishing(table), *_saturated(table)]


def _rows_of(table: "pd.DataFrame", quantity: str) -> "pd.DataFrame":
    return table[table["quantity"] == quantity]


def _medians(table: "pd.DataFrame", quantity: str) -> dict[str, float]:
    by_layer = _rows_of(table, quantity).groupby("layer", sort=False)
    return {str(layer): float(rows["value"].median()) for layer, rows in by_layer}


def _dead(table: "pd.DataFrame") -> list[str]:
    found = []
    for layer, rows in _rows_of(table, "dead").groupby("layer", sort=False):
        last = float(rows["value"].iloc[-1])
        if last < DEAD:
            continue
        alive = rows[rows["value"] < DEAD]
        since = int(rows["epoch"].iloc[0] if alive.empty else alive["epoch"].iloc[-1] + 1) + 1
        # A unit that never was alive did not die of large steps.
        never = "batch normalization before it, or other initial biases"
        way = never if alive.empty else "a lower learning rate or a warmup"
        found.append(
            f"{layer}: {last:.0%} of units dead since epoch {since} (0 for every sampled image of an epoch); try {way}."
        )
    return found


def _large_updates(table: "pd.DataFrame") -> list[str]:
    ratios = _medians(table, "update")
    large = [layer for layer, ratio in ratios.items() if ratio > LARGE_UPDATE]
    if not large:
        return []
    worst = max(large, key=lambda layer: ratios[layer])
    return [
        f"{len(large)} of {len(ratios)} layers change by more than {LARGE_UPDATE:.0%} of their size in a step (most: "
        f"{worst}, {ratios[worst]:.0%}): the learning rate is too high; about 0.1 % is usual. Try a tenth, or descent "
        "find-lr."
    ]


def _frozen(table: "pd.DataFrame", trainable: Mapping[str, bool]) -> list[str]:
    found = [f"{layer}: not trained, requires_grad is off." for layer, on in trainable.items() if not on]
    ratios = _medians(table, "update")
    still = [layer for layer, ratio in ratios.items() if ratio < FROZEN and trainable.get(layer, True)]
    if still and len(still) < len(ratios):
        found += [
            f"{layer}: frozen, its weights do not move (update {ratios[layer]:.1g} of their size); check that the loss "
            "depends on it, and that the optimizer has its parameters."
            for layer in still
        ]
    return found


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
        f"{layer}: {share:.0%} of its outputs lie at a bound, where there is no gradient; try smaller initial "
        "weights, normalisation before it, or ReLU or GELU in its place."
        for layer, share in shares.items()
        if share >= SATURATED
    ]
