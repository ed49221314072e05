"""The order of the classes, which a checkpoint's network keeps."""

from foundation.errors import UserError


def take_order(known: list[str], names: list[str] | None, given: bool) -> bool:
    """Put the classes into the order of a checkpoint, in place: the module and the caches share the list.

    Args:
        known: Today's classes.
        names: Those of the checkpoint; None for one of an earlier version, which sorted all names by the alphabet.
        given: Whether today's are set in the config, which then stay.

    Returns:
        Whether the order has changed.

    Raises:
        UserError: The checkpoint has other classes.

    Example:
        >>> take_order(names := ["2", "10"], None, given=False), names
        (True, ['10', '2'])
    """
    wanted = (known if given else sorted(known)) if names is None else names
    if wanted == known:
        return False
    if given or set(known) != set(wanted):
        raise UserError(
            f"The classes are not those of the checkpoint's run: {', '.join(known[:10])} instead of "
            f"{', '.join(wanted[:10])}. A network keeps the classes that it was trained with."
        )
    known[:] = wanted
    return True
