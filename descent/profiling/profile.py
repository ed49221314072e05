"""`descent profile -c CONFIG`: where a step goes, what share of the machine's peak is reached, what to change."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from descent.profiling.advice import Advice, Profiled, advise
from descent.profiling.clock import PARTS
from descent.profiling.machine_peak import machine_peak
from descent.profiling.measurement import Measured
from foundation.files import strict_json
from foundation.machine_load import MachineLoad

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 34  # of the bars in the terminal
MUCH = 0.25  # cores that others may use before it is said


@dataclass
class StepProfile:
    """What `descent profile` found.

    Args:
        measured: Where the time goes.
        dtype: That the network computes in: `fp32`, `bf16` or `fp16`.
        peaks: FLOP/s of a matrix product and a convolution, by dtype.
        device: `cpu`, or the GPU's name.
        advice: What to change.
        useless: What was tried without gain.
        others: Cores that other processes kept busy meanwhile; `None` where the system does not say.
    """

    measured: Measured
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
        """Of the better of matrix product and convolution."""
        return self.reached / max(self.peaks[self.dtype].values())

    def lines(self) -> list[str]:
        """A table that fits a screen."""
        found = self.measured
        lines = [
            f"a step takes {1e3 * found.step:.2f} ms: {found.samples} samples, {found.rate:,.0f} a second "
            f"({found.steps} steps, {self.device}, {found.threads} threads, {self.dtype})",
        ]
        for part in PARTS:
            share = found.share(part)
            lines.append(f"  {part:<26}{1e3 * share * found.step:9.3f} ms {share:6.1%}  {'█' * round(WIDTH * share)}")
        peaks = ", ".join(
            f"{dtype} {name} {value / 1e9:,.0f}" for dtype, each in self.peaks.items() for name, value in each.items()
        )
        lines.append(f"peak, measured here, in GFLOP/s: {peaks}")
        lines.append(f"reached {self.reached / 1e9:,.1f} GFLOP/s, {self.share_of_peak:.0%} of the {self.dtype} peak")
        lines.append("what to change" if self.advice else "nothing found that would make it faster")
        lines += [f"  {number}. {each}" for number, each in enumerate(self.advice, 1)]
        lines += [f"without gain: {each}" for each in self.useless]
        if self.others is not None and self.others > MUCH:
            lines.append(
                f"other processes kept {self.others:.1f} cores busy meanwhile: measure again when they are done"
            )
        return lines

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers."""
        found = self.measured
        return asdict(self) | {
            "step_seconds": found.step,
            "samples_per_second": found.rate,
            "shares": {part: found.share(part) for part in PARTS},
            "reached_flops_per_second": self.reached,
            "share_of_peak": self.share_of_peak,
        }

    def save(self, folder: Path) -> list[Path]:
        """Write `profile.json` and `profile.png`."""
        folder.mkdir(parents=True, exist_ok=True)
        table, figure = folder / "profile.json", folder / "profile.png"
        table.write_text(strict_json(self.as_dict(), indent=1) + "\n")
        self.plot().savefig(figure, dpi=130)
        return [table, figure]

    def plot(self) -> "Figure":
        """A bar of the step's parts."""
        from matplotlib import colormaps
        from matplotlib.figure import Figure

        found = self.measured
        figure = Figure(figsize=(9, 2.7), layout="constrained")
        axes, left = figure.subplots(), 0.0
        for number, part in enumerate(PARTS):
            width = 1e3 * found.share(part) * found.step
            label = f"{part} {found.share(part):.1%}"
            axes.barh([0], [width], left=left, color=colormaps["tab20"](number), label=label, edgecolor="white")
            left += width
        title = f"a step of {found.samples} samples: {1e3 * found.step:.2f} ms, {self.share_of_peak:.0%} of the peak"
        axes.set(xlabel="ms", yticks=[], xlim=(0, left), title=title)
        axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.32), frameon=False, fontsize="small")
        return figure


def profile_step(run: Profiled, tries: bool = True) -> StepProfile:
    """Measure, look for what to change, try it.

    Args:
        run: What to profile.
        tries: Whether to try what could be changed.
    """
    load = MachineLoad()
    measured = run.measure()
    device = run.trainer.strategy.root_device
    dtype = dtype_of(str(run.trainer.precision))
    peaks = {name: machine_peak(device, name) for name in dict.fromkeys(["fp32", "bf16", dtype])}
    advice, useless = advise(run, measured, tries)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return StepProfile(measured, dtype, peaks, name, advice, useless, load.cores())


def dtype_of(precision: str) -> str:
    """What a network computes in.

    Example:
        >>> dtype_of("bf16-mixed"), dtype_of("16-mixed"), dtype_of("32-true")
        ('bf16', 'fp16', 'fp32')
    """
    return "bf16" if precision.startswith("bf16") else "fp16" if precision.startswith("16") else "fp32"


def write_profile(profile: StepProfile, folder: Path) -> str:
    """Write the files; what the terminal shows."""
    files = profile.save(folder)
    shown = ", ".join(os.path.relpath(file) for file in files)
    return "\n".join([*profile.lines(), f"written        {shown}"])
