"""The profile of a training step: time of each part, share of the machine's peak FLOP/s, and suggested changes."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from descent.profiling.advice import Advice, ProfiledRun, advise
from descent.profiling.measurement import StepTiming
from descent.profiling.peak import peak_flops
from descent.profiling.step_profiler import PARTS
from foundation.files import strict_json
from foundation.machine_load import MachineLoad
from foundation.terminal.folding import fitted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAR_WIDTH = 34  # characters
TOLERATED_LOAD = 0.25  # cores that other processes may use before a line says so


@dataclass
class StepProfile:
    """What `descent profile` found.

    Args:
        measured: Timing of the steps.
        dtype: Data type that the network computes in: `fp32`, `bf16` or `fp16`.
        peaks: FLOP/s of a matrix product and a convolution, by data type.
        device: `cpu`, or the GPU's name.
        advice: Suggested changes, the largest gain first.
        useless: Changes that were tried and brought nothing.
        others: Cores that other processes kept busy meanwhile; `None` where the system does not say.
    """

    measured: StepTiming
    dtype: str
    peaks: dict[str, dict[str, float]]
    device: str
    advice: list[Advice]
    useless: list[Advice]
    others: float | None = None

    @property
    def reached(self) -> float:
        """FLOP/s of the steps."""
        return self.measured.flops / self.measured.step

    @property
    def share_of_peak(self) -> float:
        """FLOP/s of the steps relative to the faster of matrix product and convolution."""
        return self.reached / max(self.peaks[self.dtype].values())

    def lines(self) -> list[str]:
        """Return the table for the terminal."""
        timing = self.measured
        lines = [
            f"a step takes {1e3 * timing.step:.2f} ms: {timing.samples} samples, {timing.rate:,.0f} per second "
            f"({timing.steps} steps, {self.device}, {timing.threads} thread{'s' * (timing.threads > 1)}, {self.dtype})",
        ]
        for part in PARTS:
            share = timing.share(part)
            bar = "█" * round(BAR_WIDTH * share)
            lines.append(f"  {part:<26}{1e3 * share * timing.step:9.3f} ms {share:6.1%}  {bar}".rstrip())
        peaks = ", ".join(
            f"{dtype} {name} {value / 1e9:,.0f}" for dtype, each in self.peaks.items() for name, value in each.items()
        )
        lines.append(f"peak GFLOP/s, measured now: {peaks}")
        lines.append(f"reached {self.reached / 1e9:,.1f} GFLOP/s, {self.share_of_peak:.0%} of the {self.dtype} peak")
        lines.append("what to change" if self.advice else "no change found that would make it faster")
        lines += [f"  {number}. {each}" for number, each in enumerate(self.advice, 1)]
        lines += [f"without gain: {each}" for each in self.useless]
        if self.others is not None and self.others > TOLERATED_LOAD:
            lines.append(f"other processes kept {self.others:.1f} cores busy: measure again when they have finished")
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        timing = self.measured
        return asdict(self) | {
            "step_seconds": timing.step,
            "samples_per_second": timing.rate,
            "shares": {part: timing.share(part) for part in PARTS},
            "reached_flops_per_second": self.reached,
            "share_of_peak": self.share_of_peak,
        }

    def save(self, folder: Path) -> list[Path]:
        """Write `profile.json` and `profile.png`, and return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        table, figure = folder / "profile.json", folder / "profile.png"
        table.write_text(strict_json(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        self.plot().savefig(figure, dpi=130)
        return [table, figure]

    def plot(self) -> "Figure":
        """Draw the parts of the step as one bar."""
        from foundation.figure_style import COLORS, legend, panels

        timing = self.measured
        figure, (axes,) = panels(size=(9, 2.7))
        left = 0.0
        for number, part in enumerate(PARTS):
            width = 1e3 * timing.share(part) * timing.step
            label = f"{part} {timing.share(part):.1%}"
            hatch = "///" if number >= len(COLORS) else None  # each colour once plain and once hatched
            color = COLORS[number % len(COLORS)]
            axes.barh([0], [width], left=left, color=color, hatch=hatch, label=label, edgecolor="white")
            left += width
        title = f"a step of {timing.samples} samples: {1e3 * timing.step:.2f} ms, {self.share_of_peak:.0%} of the peak"
        axes.set(xlabel="ms", yticks=[], xlim=(0, left), title=title)
        legend(axes, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.32))
        return figure


def profile_step(run: ProfiledRun, tries: bool = True) -> StepProfile:
    """Time the steps, measure the machine's peak, and look for changes that make the steps faster.

    Args:
        run: What to profile.
        tries: Whether to try the changes.
    """
    load = MachineLoad()
    measured = run.measure()
    device = run.trainer.strategy.root_device
    dtype = dtype_of(str(run.trainer.precision))
    peaks = {name: peak_flops(device, name) for name in dict.fromkeys(["fp32", "bf16", dtype])}
    advice, useless = advise(run, measured, tries)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return StepProfile(measured, dtype, peaks, name, advice, useless, load.cores())


def dtype_of(precision: str) -> str:
    """Return the data type that a network computes in at a precision of Lightning.

    Example:
        >>> dtype_of("bf16-mixed"), dtype_of("16-mixed"), dtype_of("32-true")
        ('bf16', 'fp16', 'fp32')
    """
    return "bf16" if precision.startswith("bf16") else "fp16" if precision.startswith("16") else "fp32"


def write_profile(profile: StepProfile, folder: Path) -> str:
    """Write the files and return the text for the terminal."""
    shown = ", ".join(os.path.relpath(file) for file in profile.save(folder))
    return "\n".join([*map(fitted, profile.lines()), f"written        {shown}"])
