"""Record the gradient norms of an optimizer's steps on the device, and copy them to the host together."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from math import isfinite, nan
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from callbacks.gradients.measure import clipped_norm


@dataclass(slots=True)
class Step:
    """Measurements of one optimizer step; tensors are `()` and stay on the device until they are read.

    `divisor` is the norm that clipping divided by, if it is not `before`.
    """

    before: Tensor | None = None
    after: Tensor | None = None
    divisor: Tensor | None = None
    scale: Tensor | None = None
    skipped: Tensor | bool = False
    layers: dict[str, Tensor] = field(default_factory=dict)
    layers_after: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadStep:
    """A `Step` as numbers. `after` is NaN if the step was skipped, `scale` without a scaler."""

    before: float
    after: float
    skipped: bool = False
    scale: float = nan
    layers: dict[str, float] = field(default_factory=dict)
    layers_after: dict[str, float] = field(default_factory=dict)

    @property
    def clipped(self) -> bool:
        """Whether clipping reduced the norm."""
        return self.after < self.before


class NormRecord:
    """The norms of one optimizer: those since the last log, and all for the report."""

    def __init__(self) -> None:
        self.current: Step | None = None
        self.unread: list[Step] = []
        self.since_log: list[ReadStep] = []
        self.norms = array("f")
        self.skipped = self.clipped = 0

    def read(self, clip: float | None, unclipped: bool) -> None:
        """Copy the unread steps to the host; see `read_steps`."""
        steps = read_steps(self.unread, clip, unclipped)
        self.unread = []
        self.since_log += steps
        self.norms.extend(step.before for step in steps)
        self.skipped += sum(step.skipped for step in steps)
        self.clipped += sum(step.clipped for step in steps if isfinite(step.before))

    def state_dict(self) -> dict[str, Any]:
        """Return plain numbers; call `read` before."""
        since = [vars(step) for step in self.since_log]
        norms = torch.tensor(self.norms, dtype=torch.float32)
        return {"since_log": since, "norms": norms, "skipped": self.skipped, "clipped": self.clipped}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the numbers."""
        self.since_log = [ReadStep(**step) for step in state["since_log"]]
        self.norms = array("f", state["norms"].tolist())
        self.skipped, self.clipped = state["skipped"], state["clipped"]


def read_steps(steps: Iterable[Step], clip: float | None, unclipped: bool) -> list[ReadStep]:
    """Copy steps to the host, waiting for the device once.

    Args:
        steps: As measured.
        clip: Threshold of clipping by norm, which gives the norm after clipping; `None`: it was measured.
        unclipped: Whether there is no clipping, so that both norms are equal.
    """
    steps = list(steps)
    tensors = [_tensors(step) for step in steps]
    numbers = iter(to_host([tensor for own in tensors for tensor in own]))
    return [
        _read_step(step, list(islice(numbers, len(own))), clip, unclipped)
        for step, own in zip(steps, tensors, strict=True)
    ]


def _tensors(step: Step) -> list[Tensor]:
    single = [t for t in (step.before, step.after, step.divisor, step.scale, step.skipped) if isinstance(t, Tensor)]
    return [*single, *step.layers.values(), *step.layers_after.values()]


def to_host(tensors: list[Tensor]) -> list[float]:
    """Copy scalars to the host, all at once."""
    if not tensors:
        return []
    whole = [t if type(t) is Tensor else t.full_tensor() for t in tensors]  # type: ignore[attr-defined]  # FSDP2 gives shards
    alike = [t if t.dtype == torch.float32 else t.float() for t in whole]
    return torch.stack(alike).tolist()  # type: ignore[no-any-return]


def _read_step(step: Step, numbers: list[float], clip: float | None, unclipped: bool) -> ReadStep:
    rest = iter(numbers)
    before = next(rest) if step.before is not None else nan
    after = next(rest) if step.after is not None else nan
    divisor = next(rest) if step.divisor is not None else before
    scale = next(rest) if step.scale is not None else nan
    skipped = bool(next(rest)) if isinstance(step.skipped, Tensor) else step.skipped
    layers = {name: next(rest) for name in step.layers}
    layers_after = {name: next(rest) for name in step.layers_after}
    if unclipped:
        after, layers_after = before, layers
    elif clip is not None:
        after = clipped_norm(before, clip, divisor)
        layers_after = {name: clipped_norm(norm, clip, divisor) for name, norm in layers.items()}
    if skipped:
        after, layers_after = nan, {}
    return ReadStep(before, after, skipped, scale, layers, layers_after)


def means(steps: list[ReadStep], clipping: bool = True) -> dict[str, float]:
    """Return the mean and maximum of the finite norms, how many are not finite, and what clipping did.

    Args:
        steps: At least one.
        clipping: Whether to include what clipping did.

    Example:
        >>> means([ReadStep(2.0, 1.0), ReadStep(float("inf"), nan, skipped=True)])
        {'nonfinite': 1.0, 'total': 2.0, 'max': 2.0, 'clipped': 1.0, 'clipped_share': 1.0}
    """
    finite = [step for step in steps if isfinite(step.before)]
    taken = [step for step in finite if isfinite(step.after)]
    values = {"nonfinite": float(len(steps) - len(finite))}
    if finite:
        values |= {"total": fmean(step.before for step in finite), "max": max(step.before for step in finite)}
    if taken and clipping:
        share = fmean(step.clipped for step in taken)
        values |= {"clipped": fmean(step.after for step in taken), "clipped_share": share}
    return values
