"""What one does with the parts: commands, studies, inference, profiling, runs and training.

Open `commands/table.py` first: it names every command and the module that runs it.
"""

from typing import Any

_HOME = {
    "compare": "descent.studies.comparison",
    "find_lr": "callbacks.learning_rate.finder",
    "history": "callbacks.reporting.history",
    "plot_history": "callbacks.reporting.history",
    "tune_allocator": "descent.allocator",
}

__all__ = ["compare", "find_lr", "history", "plot_history", "tune_allocator"]


def __getattr__(name: str) -> Any:
    """Import a function when it is first asked for: the command line must not load torch to print its help."""
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'descent' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
