"""Import torchmetrics without `scipy.signal`, which only one audio metric needs: a fifth of the time to a run's start.

torchmetrics imports `scipy.signal` (and with it `scipy.stats`) only to give SRMRpy a function under its old name.
"""

import importlib
import sys
from types import ModuleType


def import_torchmetrics() -> None:
    """Import torchmetrics with an empty `scipy.signal`, which is gone afterwards; do nothing if either is imported."""
    name = "scipy.signal"
    if "torchmetrics" in sys.modules or name in sys.modules:
        return
    empty = ModuleType(name)
    empty.hamming = None  # type: ignore[attr-defined]
    sys.modules[name] = empty
    try:
        importlib.import_module("torchmetrics")
    finally:
        if sys.modules.get(name) is empty:
            del sys.modules[name]
            vars(sys.modules.get("scipy", empty)).pop("signal", None)
