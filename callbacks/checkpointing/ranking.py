"""Which checkpoints are the best, as a plain table that travels in the checkpoint."""

import difflib
import math
import re
from collections.abc import Iterable

from foundation.errors import UserError

VALIDATION = re.compile(r"val(id|idation)?[/_.]")


def belongs_to_validation(monitor: str) -> bool:
    """Whether a logged value comes from validation, by its name.

    Example:
        >>> belongs_to_validation("val/loss"), belongs_to_validation("train/loss"), belongs_to_validation("value_loss")
        (True, False, False)
    """
    return VALIDATION.match(monitor) is not None


def refuse_unlogged(monitor: str, logged: Iterable[str]) -> None:
    """Raise where ``monitor`` is not among what was logged.

    Raises:
        UserError: Names the closest keys, or all of them.
    """
    keys = sorted(set(logged))
    if monitor in keys:
        return
    close = difflib.get_close_matches(monitor, keys, n=2)
    way_out = f"did you mean {' or '.join(map(repr, close))}?" if close else f"logged are: {', '.join(keys) or 'none'}."
    raise UserError(f"the checkpoint follows monitor={monitor!r}, which nobody logs; {way_out}")


class Ranking:
    """The ``keep`` best names by score.

    Args:
        mode: ``"min"`` or ``"max"``.
        keep: Names kept; -1: all.

    Example:
        >>> ranking = Ranking("min", keep=1)
        >>> ranking.admits(0.5), ranking.add("a", 0.5), ranking.admits(0.5), ranking.admits(0.4)
        (True, [], False, True)
        >>> ranking.add("b", 0.4), ranking.best
        (['a'], 'b')
    """

    def __init__(self, mode: str, keep: int) -> None:
        self.sign = 1.0 if mode == "min" else -1.0
        self.keep = keep
        self.scores: dict[str, float] = {}

    def admits(self, score: float) -> bool:
        """Whether a score enters the table; an equal one does not push out an older one, NaN is worse than any."""
        if self.keep == -1 or len(self.scores) < self.keep:
            return True
        return self.keep > 0 and self._cost(score) < max(map(self._cost, self.scores.values()))

    def add(self, name: str, score: float) -> list[str]:
        """Enter a name, return the names that fall out."""
        self.scores.pop(name, None)
        self.scores[name] = score
        ordered = sorted(self.scores, key=lambda name: self._cost(self.scores[name]))
        dropped = ordered[self.keep :] if self.keep >= 0 else []
        for old in dropped:
            del self.scores[old]
        return dropped

    @property
    def best(self) -> str | None:
        """The name with the best score, the oldest of equals."""
        return min(self.scores, key=lambda name: self._cost(self.scores[name]), default=None)

    def _cost(self, score: float) -> float:
        return math.inf if math.isnan(score) else self.sign * score
