"""What you do with modules, data and callbacks: train, compare, evaluate, predict, export and profile.

Open `commands/table.py` first: it names every command and the module that runs it.
"""

import importlib
from typing import Any

_MODULE_OF = {
    "compare": "descent.studies.comparison",
    "find_lr": "callbacks.learning_rate.finder",
    "history": "callbacks.reporting.history",
    "plot_history": "callbacks.reporting.learning_curves",
    "tune_allocator": "descent.allocator",
}

__all__ = ["compare", "find_lr", "history", "plot_history", "tune_allocator"]


def __getattr__(name: str) -> Any:
    """Import a function when it is first used, because the command line must not load torch to print its help."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'descent' has no attribute '{name}'")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)
