"""Say whether networks that are being built need initial weights, or get all weights from a checkpoint right after."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NEEDED = ContextVar("initial weights are needed", default=True)


@contextmanager
def weights_from_checkpoint(loaded: bool = True) -> Iterator[None]:
    """Build networks whose weights a checkpoint replaces: downloads of pretrained weights would be in vain.

    So a fine-tuned network is resumed, tested and exported without a network connection.

    Args:
        loaded: Whether a checkpoint is loaded; False changes nothing.

    Example:
        >>> with weights_from_checkpoint():
        ...     initial_weights_are_needed()
        False
    """
    before = _NEEDED.set(_NEEDED.get() and not loaded)
    try:
        yield
    finally:
        _NEEDED.reset(before)


def initial_weights_are_needed() -> bool:
    """Return whether a network that is built now should load its pretrained weights."""
    return _NEEDED.get()
