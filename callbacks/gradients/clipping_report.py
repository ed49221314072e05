"""Summarise a run's gradient norms and suggest a clipping threshold."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.9, 0.99)
HEAVY_TAIL = 4.0  # 99th percentile over median; a step this large outweighs the usual ones
MANY = 0.2  # share of clipped steps; the usual ones are among them
MOST = 0.5
MIN_STEPS = 20


@dataclass(frozen=True)
class ClippingReport:
    """Norms before clipping over a whole run.

    Args:
        steps: Number of optimizer steps.
        nonfinite: How many of them had an infinite or NaN norm.
        quantiles: Quantiles of the finite norms, by their share.
        largest: Largest finite norm; NaN without any.
        clip: Threshold of clipping by norm; `None` without it.
        clipped: Share of the steps with a finite norm that were clipped, in [0, 1].
        suggestion: Suggested threshold for clipping by norm; `None`: no clipping.
        reason: Of the suggestion, as a sentence.
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
        """Return the report for a terminal."""
        shown = "  ".join(f"{share:.0%} {value:.3g}" for share, value in self.quantiles.items())
        # What a module clips by itself is not seen here.
        setting = "the trainer does not clip by norm"
        if self.clip is not None:
            setting = f"clipping by norm at {self.clip:g}; {self.clipped:.1%} of the steps clipped"
        nonfinite = f", {self.nonfinite} of them not finite" if self.nonfinite else ""
        advice = "none" if self.suggestion is None else f"{self.suggestion:.3g}"
        return [
            f"gradient norm before clipping, {self.steps} steps{nonfinite}: {shown}  largest {self.largest:.3g}",
            setting,
            f"suggested threshold: {advice}. {self.reason}",
        ]


def clipping_report(norms: Sequence[float], clipped: int, clip: float | None) -> ClippingReport:
    """Compute quantiles, share of clipped steps, and a threshold with its reason.

    The suggestion is the 90th percentile if the tail is heavy (99th percentile ≥ 4 × median) or more than a fifth of
    the steps are clipped; otherwise the present setting.

    Args:
        norms: Norm before clipping at each optimizer step, ≥ 0, infinite or NaN.
        clipped: How many steps were clipped.
        clip: The present threshold of clipping by norm, > 0; `None`: none.

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
    if steps < MIN_STEPS:
        return clip, f"{steps} finite norms are too few for a suggestion; {MIN_STEPS} are needed."
    high, median = quantiles[0.9], quantiles[0.5]
    tail = quantiles[0.99] / median if median > 0 else float("inf")
    if clip is not None and share >= MOST:
        return high, (
            f"At {clip:g} most steps are clipped, so that clipping acts as a smaller learning rate; the 90th "
            "percentile leaves the usual steps unchanged."
        )
    if tail >= HEAVY_TAIL:
        return high, (
            f"The tail is heavy: the 99th percentile is {tail:.3g} times the median. The 90th percentile leaves the "
            "usual steps unchanged and bounds the rare large ones."
        )
    if clip is not None and share > MANY:
        return high, (
            f"At {clip:g}, {share:.1%} of the steps are clipped, that is one in {1 / share:.2g}: ordinary steps too, "
            f"not only rare large ones. Set trainer.gradient_clip_val to {high:.3g}, which clips one in ten."
        )
    if clip is not None and share == 0:
        return clip, f"No step reached {clip:g}: clipping has changed nothing in this run. Keep it as a safeguard."
    if clip is not None:
        return clip, f"It clips the largest {share:.1%} of the steps and leaves the others unchanged: keep it."
    return None, f"The tail is light: the 99th percentile is {tail:.3g} times the median, nothing needs a bound."
