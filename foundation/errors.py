"""The exceptions for a user's mistake."""

from collections.abc import Sequence


class UserError(Exception):
    """A mistake in a config, an argument or the data; the message says what was found, what was expected, what to do.

    The command line prints the message in one line and ends with exit code 2. Constructors raise `ValueError` for a
    value out of range; this is for what only shows later, with the data, the trainer or a file at hand.
    """


class RanksDisagreeError(UserError):
    """Processes that should hold the same hold something different; the message says what, and on which rank."""


def check_ranks_agree(name: str, values: Sequence[float], consequence: str) -> None:
    """Raise RanksDisagreeError unless a logged value is the same on every rank, NaN included.

    Args:
        name: Of the value in the logs.
        values: One a rank.
        consequence: What happens if it is not the same.

    Example:
        >>> check_ranks_agree("val/loss", [0.5, 0.25], "and decisions follow it")
        Traceback (most recent call last):
        foundation.errors.RanksDisagreeError: 'val/loss' differs between processes (0.5, 0.25 on ranks 0-1), and ...
    """
    if len({repr(value) for value in values}) > 1:
        listed = ", ".join(f"{value:.6g}" for value in values)
        raise RanksDisagreeError(
            f"{name!r} differs between processes ({listed} on ranks 0-{len(values) - 1}), {consequence}: log it with "
            "sync_dist=True, or as a torchmetrics metric."
        )
