"""The result of a learning-rate search: losses, suggestions, pick and files."""

import csv
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.learning_rate.run_shape import RunShape
from callbacks.learning_rate.short_runs import ShortRun
from callbacks.learning_rate.suggestions import Floats, Suggestions, smooth
from callbacks.learning_rate.sweep import SweepFacts
from foundation.errors import UserError
from foundation.files import strict_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RangeTest:
    """Losses at rising rates, and what they suggest.

    Args:
        rates: Of the first parameter group, `(n,)`.
        losses: Raw losses of `r` repeats, NaN after the end of each, `(r, n)`.
        curve: Mean of the smoothed repeats, `(m,)`, m ≤ n.
        band: Lowest and highest smoothed repeat, `(2, m)`.
        suggestions: Learning rates read from the curve; `None` if it shows none.
        refusal: Why there are none.
        facts: What else the test has found out.
    """

    rates: Floats
    losses: Floats
    curve: Floats
    band: Floats
    suggestions: Suggestions | None
    refusal: UserError | None
    facts: SweepFacts

    @property
    def steps(self) -> int:
        """Optimizer steps that were taken."""
        return int(np.isfinite(self.losses).sum())


@dataclass
class LRSearch:
    """Result of a search.

    Args:
        test: The range test.
        method: How the pick was found.
        rate: Best learning rate of the first parameter group, before rounding.
        equal: Lowest and highest rate that did about as well; `None` without short runs.
        runs: The short runs, in their order.
        shape: Length and schedule of the run that the pick is for.
        confirmed: Whether longer runs decided in the end.
        validation: Whether validation batches judged the short runs; otherwise batches of the training data did.
        notes: What else the reader should know.
    """

    test: RangeTest
    method: str
    rate: float
    equal: tuple[float, float] | None
    runs: list[ShortRun]
    shape: RunShape
    confirmed: bool = False
    validation: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def pick(self) -> float:
        """Learning rate of the first parameter group, to 3 digits: the highest of the run's schedule."""
        return rounded(self.rate)

    @property
    def per_group(self) -> list[float]:
        """Rate of every group, in the optimizer's ratios."""
        return [self.pick * relative for relative in self.test.facts.relative]

    @property
    def suggestions(self) -> Suggestions | None:
        """Learning rates read from the curve of the range test; `None` if it shows none."""
        return self.test.suggestions

    @property
    def rates(self) -> Floats:
        """Rates of the range test, `(n,)`."""
        return self.test.rates

    @property
    def losses(self) -> Floats:
        """Losses of the range test, `(r, n)`; NaN after the end of a repeat."""
        return self.test.losses

    @property
    def curve(self) -> Floats:
        """Smoothed losses of the range test, `(m,)`."""
        return self.test.curve

    @property
    def steps(self) -> int:
        """Optimizer steps that the search took."""
        return self.test.steps + sum(run.steps for run in self.runs)

    @property
    def basis(self) -> str:
        """How the pick was found, in some words."""
        if not self.runs:
            return f"range test, {self.method}"
        last = self.runs[-1].steps
        count = sum(run.steps == last for run in self.runs)
        kind = "confirming" if self.confirmed else "short"
        known = "" if self.shape.known else ", an assumed length"
        return f"{count} {kind} runs of {last} steps, carried over to a run of {self.shape.steps}{known}"

    @property
    def cyclic(self) -> tuple[float, float]:
        """Lower and upper rate of a cyclic schedule: the upper is the pick."""
        if self.suggestions is None:
            return rounded(self.rate / 10), self.pick
        return rounded(min(self.suggestions.cyclic[0], self.rate / 2)), self.pick

    def summary(self) -> str:
        """Return some lines for a terminal."""
        lines = []
        if self.suggestions is not None:
            found = asdict(self.suggestions)
            found.pop("cyclic")
            lines.append("range test     " + ", ".join(f"{n.replace('_', ' ')} {r:.3g}" for n, r in found.items()))
        for steps in dict.fromkeys(run.steps for run in self.runs):
            runs = sorted((run for run in self.runs if run.steps == steps), key=lambda run: run.rate)
            tried = ", ".join(f"{run.rate:.3g}: {run.loss:.4g}" for run in runs)
            lines.append(f"{f'{steps} steps':<14} {tried} (held-out loss)")
        if self.runs and not self.validation:
            lines.append("There is no validation data: batches of the training data judged the short runs.")
        lines += self.notes
        lines.append(f"cost           {self.steps} optimizer steps")
        lines.append(f"learning rate  {self.pick:.3g} ({self.basis})")
        if self.equal is not None and rounded(self.equal[1]) > rounded(self.equal[0]):
            lines.append(f"about as good  {self.equal[0]:.3g} to {self.equal[1]:.3g}")
        if len(self.per_group) > 1:
            lines.append("by group       " + ", ".join(f"{rate:.3g}" for rate in self.per_group))
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON."""
        return {
            "pick": self.pick,
            "method": self.method,
            "basis": self.basis,
            "equally_good": None if self.equal is None else [rounded(rate) for rate in self.equal],
            "per_group": self.per_group,
            "suggestions": None if self.suggestions is None else asdict(self.suggestions),
            "runs": [{"lr": run.rate, "steps": run.steps, "held_out_loss": run.loss} for run in self.runs],
            "confirmed": self.confirmed,
            "run_steps": self.shape.steps,
            "run_steps_known": self.shape.known,
            "judged_by": ("validation" if self.validation else "training") if self.runs else None,
            "steps": self.steps,
            "notes": self.notes,
            "rates": self.rates.tolist(),
            "curve": self.curve.tolist(),
        }

    def plot(self) -> "Figure":
        """Draw loss against learning rate: of the range test, and of the short runs."""
        from callbacks.learning_rate.figure import lr_figure

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


def rounded(rate: float) -> float:
    """Return the rate to 3 digits, as it is printed, drawn and written.

    Example:
        >>> rounded(0.00846732)
        0.00847
    """
    return float(f"{rate:.3g}")


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
