"""Count what a fit asks of the device, by step, by validation batch, and by line of Python."""

from __future__ import annotations

import collections
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

from tests.phantom_gpu.build import ROOT
from tests.phantom_gpu.device import COPIES, PAGEABLE, SYNCS, counts, watching

WARM = 3  # the first steps allocate, choose algorithms and build what later ones use
WARM_VALIDATION = 2  # the targets of the first batches are checked
BELOW = (
    "phantom_gpu/values.py",
    "phantom_gpu/counting.py",
    "phantom_gpu/device.py",
    "_python_dispatch.py",
    "torch/_ops.py",
)


@dataclass(frozen=True)
class Event:
    """Something that the device was asked for: where in our code, and where in the end."""

    kind: str
    phase: str
    step: int
    ours: str
    innermost: str

    def __str__(self) -> str:
        return f"{self.kind} in {self.phase} {self.step}: {self.ours or 'no line of ours'} ({self.innermost})"


@dataclass
class Counted:
    """What was asked for in each step and validation batch; `events` are those that make the host wait, and their lines."""

    steps: list[dict[str, int]] = field(default_factory=list)
    validation: list[dict[str, int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    phase: tuple[str, int] = ("outside", 0)

    def of(self, phase: str) -> list[Event]:
        """Return the events of the phase's warm steps or batches that make the host wait."""
        first = WARM if phase == "step" else WARM_VALIDATION
        kinds = (*SYNCS, *PAGEABLE)
        return [one for one in self.events if one.phase == phase and one.step >= first and one.kind in kinds]

    def waits(self, phase: str = "step", kinds: tuple[str, ...] = SYNCS) -> list[int]:
        """Return how often the host waits for the device in each warm step (or "validation" batch).

        A copy of pageable memory counts as a wait, with or without the synchronisation that torch adds to most of them.
        """
        return [max(sum(one[kind] for kind in each) for each in (kinds, PAGEABLE)) for one in self.warm(phase)]

    def warm(self, phase: str) -> list[dict[str, int]]:
        return self.steps[WARM:] if phase == "step" else self.validation[WARM_VALIDATION:]

    def median(self, kind: str, phase: str = "step") -> int:
        """Return how many of a kind a warm step has."""
        each = sorted(one[kind] for one in self.warm(phase))
        return each[len(each) // 2]

    def lines(self, phase: str = "step") -> str:
        """Return the lines that make the host wait, most frequent first."""
        found = collections.Counter(f"{one.kind}: {one.ours} ({one.innermost})" for one in self.of(phase))
        return "\n".join(f"{count} × {line}" for line, count in found.most_common())


@contextmanager
def counted() -> Iterator[Counted]:
    """Count in the fits of this block. The loops of Lightning are wrapped, since a step begins before its first hook."""
    found = Counted()
    advance, evaluate = _TrainingEpochLoop.advance, _EvaluationLoop._evaluation_step

    def step(*args: Any, **kwargs: Any) -> Any:
        return _within(found, "step", found.steps, lambda: advance(*args, **kwargs))

    def batch(*args: Any, **kwargs: Any) -> Any:
        return _within(found, "validation", found.validation, lambda: evaluate(*args, **kwargs))

    def see(kind: str, name: str, size: int) -> None:
        found.events.append(Event(kind, *found.phase, *_place()))

    _TrainingEpochLoop.advance, _EvaluationLoop._evaluation_step = step, batch  # type: ignore[method-assign]
    try:
        with watching(see, (*SYNCS, *COPIES)):
            yield found
    finally:
        _TrainingEpochLoop.advance, _EvaluationLoop._evaluation_step = advance, evaluate  # type: ignore[method-assign]


def _within(found: Counted, phase: str, each: list[dict[str, int]], function: Callable[[], Any]) -> Any:
    outer, before = found.phase, counts()
    found.phase = (phase, len(each))
    try:
        return function()
    finally:
        found.phase = outer
        after = counts()
        each.append({kind: after[kind] - before[kind] for kind in after})


def _place() -> tuple[str, str]:
    """Return the last line of the project's sources, and the last line of all."""
    frames = [
        (frame.f_code.co_filename, number)
        for frame, number in traceback.walk_stack(sys._getframe(2))
        if not frame.f_code.co_filename.endswith(BELOW)
    ]
    ours = next((one for one in frames if one[0].startswith(f"{ROOT}/") and "site-packages" not in one[0]), None)
    return _name(ours), _name(frames[0] if frames else None)


def _name(frame: tuple[str, int] | None) -> str:
    if frame is None:
        return ""
    return f"{frame[0].rpartition('site-packages/')[2].removeprefix(f'{ROOT}/')}:{frame[1]}"
