"""Rank checkpoints by a monitored value, and check that it is logged."""

import math
from collections.abc import Iterable
from pathlib import Path

from torch import nn

from foundation.argument_checks import require_choice
from foundation.errors import UserError
from foundation.metrics.direction import Direction, direction_for, directions_of, known_direction
from foundation.metrics.names import canonical
from foundation.suggestions import did_you_mean

WHO, KEY_OF_MODE = "The checkpoint", "checkpoint.mode"


def is_validation_metric(monitor: str) -> bool:
    """Return whether a logged value comes from validation, judged by its name.

    Example:
        >>> [is_validation_metric(name) for name in ("val/loss", "loss/validation", "train/loss", "value_loss")]
        [True, True, False, False]
    """
    return canonical(monitor).startswith("val/")


def check_is_logged(monitor: str, logged: Iterable[str]) -> None:
    """Check that ``monitor`` is among the logged values.

    Raises:
        UserError: It is not; the message names the closest ones, or all.
    """
    keys = sorted(set(logged))
    if monitor in keys:
        return
    otherwise = f"logged are: {', '.join(keys) or 'none'}."
    hint = did_you_mean(repr(monitor), map(repr, keys), otherwise, count=2)
    raise UserError(f"the checkpoint monitors {monitor!r} (--checkpoint.monitor), which is not logged; {hint}")


def mode_by_name(monitor: str | None, mode: Direction | None) -> Direction | None:
    """Return the mode that follows from the name of the monitored value, or else the one given.

    Raises:
        ValueError: The mode is none.
        UserError: The mode contradicts the name.
    """
    if mode is not None:
        require_choice("mode", mode, ("min", "max"))
    if monitor is None or known_direction(monitor) is None:
        return mode
    return direction_for(WHO, monitor, mode, key=KEY_OF_MODE)


def mode_by_module(monitor: str, mode: Direction | None, module: nn.Module) -> Direction:
    """Return the mode, which the module's own metrics may decide.

    Raises:
        UserError: The mode contradicts the module's metric, or neither is known.
    """
    return direction_for(WHO, monitor, mode, directions_of(module), KEY_OF_MODE)


class Ranking:
    """Keep the names with the best scores.

    Args:
        mode: ``"min"`` or ``"max"``.
        keep: How many names to keep; -1: all.

    Example:
        >>> ranking = Ranking("min", keep=1)
        >>> ranking.admits(0.5), ranking.add("a", 0.5), ranking.admits(0.5), ranking.admits(0.4)
        (True, [], False, True)
        >>> ranking.add("b", 0.4), ranking.best
        (['a'], 'b')
    """

    def __init__(self, mode: str, keep: int) -> None:
        self.set_mode(mode)
        self.keep = keep
        self.scores: dict[str, float] = {}

    def set_mode(self, mode: str) -> None:
        """Rank by another mode from now on."""
        self.sign = 1.0 if mode == "min" else -1.0

    def admits(self, score: float) -> bool:
        """Return whether a score is good enough; an equal one does not replace an older one, and NaN is the worst."""
        if self.keep == -1 or len(self.scores) < self.keep:
            return True
        return self.keep > 0 and self._cost(score) < max(map(self._cost, self.scores.values()))

    def add(self, name: str, score: float) -> list[str]:
        """Add a name and return the names that drop out."""
        self.scores.pop(name, None)
        self.scores[name] = score
        ordered = sorted(self.scores, key=lambda name: self._cost(self.scores[name]))
        dropped = ordered[self.keep :] if self.keep >= 0 else []
        for old in dropped:
            del self.scores[old]
        return dropped

    def forget_missing(self, folder: Path) -> list[str]:
        """Forget the files that are not in the folder, and return their names."""
        missing = sorted(name for name in self.scores if not (folder / name).is_file())
        for name in missing:
            del self.scores[name]
        return missing

    @property
    def best(self) -> str | None:
        """The name with the best score; of equal ones the oldest."""
        return min(self.scores, key=lambda name: self._cost(self.scores[name]), default=None)

    def _cost(self, score: float) -> float:
        return math.inf if math.isnan(score) else self.sign * score
