"""What the norms of a run say about its gradient clipping, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.99)
HEAVY_TAIL = 4.0  # 99th percentile over median; steps this far out move the weights more than usual ones do together
ALWAYS = 0.5
FEWEST = 20


@dataclass(frozen=True)
class ClippingReport:
    """The norms before clipping over a whole run.

    Args:
        steps: Optimizer steps that were measured.
        nonfinite: Of them, how many had a norm that is not finite.
        quantiles: Quantile of the finite norms, by its share.
        largest: The largest finite norm; NaN where there is none.
        clip: The threshold of clipping by norm; `None` where there was no such clipping.
        clipped: Share of the finite steps that were clipped, in [0, 1].
        suggestion: A threshold for clipping by norm; `None`: leave it off.
        reason: Why.
    """

    steps: int
    nonfinite: int
    quantiles: dict[float, float]
    largest: float
    clip: float | None
    clipped: float
    suggestion: float | None
    reason: str

    def lines(self) -> list[str]:
        """The report for a terminal."""
        shown = "  ".join(f"{share:.0%} {value:.3g}" for share, value in self.quantiles.items())
        setting = "no clipping by norm" if self.clip is None else f"clipping by norm at {self.clip:g}"
        odd = f", {self.nonfinite} of them not finite" if self.nonfinite else ""
        advice = "none" if self.suggestion is None else f"{self.suggestion:.3g}"
        return [
            f"gradient norm before clipping, {self.steps} steps{odd}: {shown}  largest {self.largest:.3g}",
            f"{setting}; {self.clipped:.1%} of the steps clipped",
            f"suggested threshold: {advice}. {self.reason}",
        ]


def clipping_report(norms: Sequence[float], clipped: int, clip: float | None) -> ClippingReport:
    """Quantiles, share clipped, and a threshold with its reason.

    The suggestion is the 90th percentile where the tail is heavy (99th percentile ≥ 4 × median) or where half of the
    steps or more are clipped; otherwise what is set stays.

    Args:
        norms: Total norms before clipping, one an optimizer step, ≥ 0 or not finite.
        clipped: How many of them were clipped.
        clip: The threshold of clipping by norm that was set, > 0; `None`: none.

    Example:
        >>> report = clipping_report([1.0] * 95 + [50.0] * 5, clipped=0, clip=None)
        >>> report.suggestion, report.largest
        (1.0, 50.0)
    """
    values = np.asarray(norms, dtype=float)
    finite = values[np.isfinite(values)]
    quantiles = {q: float(np.quantile(finite, q)) for q in QUANTILES} if len(finite) else {}
    share = clipped / len(finite) if len(finite) else 0.0
    suggestion, reason = _advice(quantiles, len(finite), share, clip)
    largest = float(finite.max()) if len(finite) else float("nan")
    return ClippingReport(len(values), len(values) - len(finite), quantiles, largest, clip, share, suggestion, reason)


def _advice(quantiles: dict[float, float], steps: int, share: float, clip: float | None) -> tuple[float | None, str]:
    if steps < FEWEST:
        return clip, f"{steps} finite norms are too few to say more; {FEWEST} are needed."
    high, median = quantiles[0.9], quantiles[0.5]
    tail = quantiles[0.99] / median if median > 0 else float("inf")
    if clip is not None and share >= ALWAYS:
        return high, (
            f"At {clip:g} most steps are clipped, so that clipping acts as a smaller learning rate; the 90th "
            "percentile leaves the usual steps alone."
        )
    if tail >= HEAVY_TAIL:
        return high, (
            f"The tail is heavy: the 99th percentile is {tail:.3g} times the median. The 90th percentile leaves the "
            "usual steps alone and bounds the rare large ones."
        )
    if clip is not None:
        return clip, f"It bounds {share:.1%} of the steps and leaves the usual ones alone: keep it."
    return None, f"The tail is light: the 99th percentile is {tail:.3g} times the median, nothing needs a bound."
