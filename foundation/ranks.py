"""Check that the ranks of a run agree on a logged value."""

from collections.abc import Sequence

from foundation.errors import UserError


class RanksDisagreeError(UserError):
    """Ranks differ in something that must be equal; the message says in what, and which ranks."""


def check_equal_on_ranks(name: str, values: Sequence[float], consequence: str) -> None:
    """Check that a logged value is the same on every rank; NaN equals NaN.

    Args:
        name: Of the value.
        values: Of each rank.
        consequence: Why they must be equal, as a clause.

    Raises:
        RanksDisagreeError: The values differ.

    Example:
        >>> check_equal_on_ranks("val/loss", [0.5, 0.5], "schedules monitor it")
        >>> check_equal_on_ranks("val/loss", [0.5, 0.6], "schedules monitor it")
        Traceback (most recent call last):
        foundation.ranks.RanksDisagreeError: 'val/loss' differs between processes (0.5, 0.6 on ranks 0-1), and ...
    """
    if len({repr(float(value)) for value in values}) > 1:
        shown = ", ".join(f"{value:.6g}" for value in values)
        raise RanksDisagreeError(
            f"{name!r} differs between processes ({shown} on ranks 0-{len(values) - 1}), and {consequence}: log it with"
            " sync_dist=True, or as a torchmetrics metric."
        )
