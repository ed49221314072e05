"""JSON that every program reads: Python writes NaN and Infinity, which are not in the standard."""

import json
import math
from typing import Any


def strict_json(value: Any, indent: int | None = 2) -> str:
    """Text of a value of dicts, lists, numbers and strings; what is not finite becomes null.

    Example:
        >>> strict_json({"loss": float("inf"), "rates": [0.1, float("nan")]}, indent=None)
        '{"loss": null, "rates": [0.1, null]}'
    """
    return json.dumps(_finite(value), indent=indent, ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
