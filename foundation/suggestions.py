"""Suggest the name that a misspelled word was meant to be."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", count: int = 1, cutoff: float = 0.6) -> str:
    """Return `did you mean …?` with the most similar names, or `otherwise` if none is similar.

    Args:
        word: What was given.
        known: What would have been accepted.
        otherwise: Returned if no name is similar.
        count: Number of names to suggest, ≥ 1.
        cutoff: Least similarity in [0, 1], see `difflib.get_close_matches`.

    Example:
        >>> did_you_mean("adma", ["adam", "sgd"])
        'did you mean adam?'
        >>> did_you_mean("LR", ["lr", "eps"])
        'did you mean lr?'
        >>> did_you_mean("lion", ["adam", "sgd"], "there are adam, sgd.")
        'there are adam, sgd.'
    """
    names = {name.lower(): name for name in reversed(list(known))}  # of two that differ in case only, the first
    lowered = difflib.get_close_matches(word.lower(), list(reversed(names)), n=count, cutoff=cutoff)
    similar = [names[name] for name in lowered]
    return f"did you mean {' or '.join(similar)}?" if similar else otherwise


def suggest(word: str, known: Iterable[str]) -> str:
    """Return ` Did you mean …?`, to stand after a sentence, or an empty string if no name is similar.

    Example:
        >>> suggest("widht", ["width", "depth"])
        ' Did you mean width?'
    """
    text = did_you_mean(word, known)
    return f" D{text[1:]}" if text else ""
