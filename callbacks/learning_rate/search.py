"""The result of a learning-rate search: losses, suggestions, pick, figure and files."""

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.learning_rate.suggestions import Floats, Suggestions, smooth
from foundation.files import strict_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class LRSearch:
    """Result of a range test.

    Args:
        rates: Of the first parameter group, `(n,)`.
        losses: Raw losses of `r` repeats, NaN after the end of each, `(r, n)`.
        curve: Mean of the smoothed repeats, `(m,)`, m ≤ n.
        band: Lowest and highest smoothed repeat, `(2, m)`.
        suggestions: Learning rates read from the curve.
        method: Which of them is the pick.
        pick: Suggested learning rate of the first parameter group.
        per_group: Rate of every group, in the optimizer's ratios.
        confirmation: Final loss by rate of the short trainings, if there were any.
    """

    rates: Floats
    losses: Floats
    curve: Floats
    band: Floats
    suggestions: Suggestions
    method: str
    pick: float
    per_group: list[float]
    confirmation: dict[float, float] = field(default_factory=dict)

    def summary(self) -> str:
        """Return some lines for a terminal."""
        found = asdict(self.suggestions)
        lower, upper = found.pop("cyclic")
        lines = [f"{name.replace('_', ' '):<14} {rate:.3g}" for name, rate in found.items()]
        lines += [f"{'cyclic':<14} {lower:.3g} to {upper:.3g}", f"learning rate  {self.pick:.3g} ({self.method})"]
        if len(self.per_group) > 1:
            lines.append("by group       " + ", ".join(f"{rate:.3g}" for rate in self.per_group))
        if self.confirmation:
            best = self.winner
            tried = ", ".join(f"{rate:.3g}: {loss:.4f}" for rate, loss in self.confirmation.items())
            verdict = "the pick holds" if best == self.pick else f"{best:.3g} did better than the pick"
            lines.append(f"short training {tried}; {verdict}")
        return "\n".join(lines)

    @property
    def winner(self) -> float:
        """The rate with the lowest loss in the confirmation; without it the pick."""
        finite = {rate: loss for rate, loss in self.confirmation.items() if np.isfinite(loss)}
        return min(finite, key=lambda rate: finite[rate]) if finite else self.pick

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON."""
        return {
            "pick": self.pick,
            "method": self.method,
            "per_group": self.per_group,
            "suggestions": asdict(self.suggestions),
            "confirmation": [{"lr": rate, "loss": loss} for rate, loss in self.confirmation.items()],
            "rates": self.rates.tolist(),
            "curve": self.curve.tolist(),
        }

    def plot(self) -> "Figure":
        """Draw loss against learning rate, with the suggestions."""
        return lr_figure(self)

    def save(self, folder: Path, name: str = "lr_finder") -> None:
        """Write `NAME.png`, `NAME.csv` and `NAME.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        self.plot().savefig(folder / f"{name}.png", dpi=130)
        (folder / f"{name}.json").write_text(strict_json(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        repeats = [f"loss_{number}" for number in range(len(self.losses))]
        with (folder / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["lr", *repeats, "smoothed"])
            for index, rate in enumerate(self.rates):
                smoothed = [self.curve[index]] if index < len(self.curve) else [""]
                writer.writerow([repr(float(rate)), *self.losses[:, index], *smoothed])


def smoothed_repeats(sweeps: list[Floats], beta: float) -> tuple[Floats, Floats, float]:
    """Smooth the repeats and return mean, band and noise, up to the end of the shortest.

    Args:
        sweeps: Losses of each repeat before it diverges.
        beta: See `running_mean`.

    Returns:
        Mean `(m,)`; minimum and maximum `(2, m)`; standard deviation of a point of the mean.
    """
    end = min(len(losses) for losses in sweeps)
    if end == 0:
        return np.empty(0), np.empty((2, 0)), 0.0
    rows = np.stack([smooth(_capped(losses[:end]), beta) for losses in sweeps])
    # Deviations from the smooth curve give the noise of one loss. Only the first half counts, where the curve is flat.
    deviations = np.concatenate(
        [(losses[:end] - row)[: max(end // 2, 2)] for losses, row in zip(sweeps, rows, strict=True)]
    )
    noise = float(np.std(deviations)) * np.sqrt((1 - beta) / (1 + beta) / len(sweeps))
    return rows.mean(axis=0), np.stack([rows.min(axis=0), rows.max(axis=0)]), float(noise)


def _capped(losses: Floats) -> Floats:
    """Limit losses to as far above the first ones as the lowest is below: divergence must not lift its surroundings."""
    start = losses[: max(len(losses) // 10, 3)].mean()
    return np.minimum(losses, start + max(start - losses.min(), 0.1 * abs(start)))


COLORS = {  # Okabe and Ito
    "nine_tenths": "#CC79A7",
    "steepest": "#D55E00",
    "valley": "#0072B2",
    "minimum_tenth": "#009E73",
}


def lr_figure(search: LRSearch) -> "Figure":
    """Draw loss against learning rate: smoothed mean, range of the repeats, raw losses, suggestions."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.4), layout="constrained")
    axes = figure.subplots()
    shown = search.rates[: len(search.curve)]
    for losses in search.losses:
        axes.plot(search.rates, losses, color="#999999", linewidth=0.5, alpha=0.6)
    axes.fill_between(shown, *search.band, color="#56B4E9", alpha=0.35, linewidth=0, label="range of the repeats")
    axes.plot(shown, search.curve, color="black", linewidth=1.8, label="smoothed loss")
    lower, upper = search.suggestions.cyclic
    axes.axvspan(lower, upper, color="#F0E442", alpha=0.25, linewidth=0, label=f"cyclic {lower:.2g} to {upper:.2g}")
    for name, color in COLORS.items():
        rate = getattr(search.suggestions, name)
        mark = " (pick)" if name == search.method else ""
        axes.axvline(rate, color=color, linestyle="-" if mark else "--", linewidth=1.4)
        height = np.interp(np.log10(rate), np.log10(shown), search.curve)
        axes.plot(rate, height, "o", color=color, label=f"{name.replace('_', ' ')} {rate:.2g}{mark}")
    first, lowest = search.curve[0], min(search.curve.min(), np.nanquantile(search.losses, 0.01))
    fall = max(float(first - lowest), 1e-12)
    axes.set(xscale="log", ylim=(lowest - 0.15 * fall, first + 0.6 * fall))
    axes.set(xlabel="learning rate", ylabel="training loss", title="Learning-rate range test")
    axes.set_xlim(search.rates[0], search.rates[-1])
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
