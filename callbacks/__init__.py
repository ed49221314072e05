"""Lightning callbacks, which a config names as `callbacks.<name>`; open `gradients/gradient_norm.py` first.

The imports below say which file holds a callback. A name is imported when it is first used, so that a module in this
package loads only what it needs itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from callbacks.checkpointing.checkpoint import DurableCheckpoint
    from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO
    from callbacks.class_weights import ClassWeights
    from callbacks.compilation import Compile
    from callbacks.diagnostics.diagnostics import Diagnostics
    from callbacks.distributed.rank_guard import RankGuard
    from callbacks.ema import EMA
    from callbacks.freeze import Freeze
    from callbacks.gradients.gradient_norm import GradientNorm
    from callbacks.learning_rate.finder import LRFinder, find_lr
    from callbacks.learning_rate.scaling import ScaledRate
    from callbacks.non_finite.black_box import BlackBox
    from callbacks.preflight import Preflight
    from callbacks.reporting.baseline import AccuracyBaseline
    from callbacks.reporting.first_images import FirstImages
    from callbacks.reporting.history import history
    from callbacks.reporting.learning_curves import LearningCurves, plot_history
    from callbacks.reporting.predictions import PredictionTable
    from callbacks.reporting.progress import EpochBar, EpochLines
    from callbacks.reporting.results import ResultsTable
    from callbacks.resuming.exact_resume import ExactResume
    from callbacks.resuming.preemption import Preemption
    from callbacks.swa import SWA
    from callbacks.target import Target
    from lightning_modules.adversarial.sample_grid import SampleGrid
    from lightning_modules.optimizers.schedule_free import ScheduleFreeWeights

__all__ = [
    "EMA",
    "SWA",
    "AccuracyBaseline",
    "BackgroundCheckpointIO",
    "BlackBox",
    "ClassWeights",
    "Compile",
    "Diagnostics",
    "DurableCheckpoint",
    "DurableCheckpointIO",
    "EpochBar",
    "EpochLines",
    "ExactResume",
    "FirstImages",
    "Freeze",
    "GradientNorm",
    "LRFinder",
    "LearningCurves",
    "PredictionTable",
    "Preemption",
    "Preflight",
    "RankGuard",
    "ResultsTable",
    "SampleGrid",
    "ScaledRate",
    "ScheduleFreeWeights",
    "Target",
    "find_lr",
    "history",
    "plot_history",
]

_MODULES = {
    "callbacks.checkpointing.checkpoint": ("DurableCheckpoint",),
    "callbacks.checkpointing.io": ("BackgroundCheckpointIO", "DurableCheckpointIO"),
    "callbacks.class_weights": ("ClassWeights",),
    "callbacks.compilation": ("Compile",),
    "callbacks.diagnostics.diagnostics": ("Diagnostics",),
    "callbacks.distributed.rank_guard": ("RankGuard",),
    "callbacks.ema": ("EMA",),
    "callbacks.freeze": ("Freeze",),
    "callbacks.gradients.gradient_norm": ("GradientNorm",),
    "callbacks.learning_rate.finder": ("LRFinder", "find_lr"),
    "callbacks.learning_rate.scaling": ("ScaledRate",),
    "callbacks.non_finite.black_box": ("BlackBox",),
    "callbacks.preflight": ("Preflight",),
    "callbacks.reporting.baseline": ("AccuracyBaseline",),
    "callbacks.reporting.first_images": ("FirstImages",),
    "callbacks.reporting.learning_curves": ("LearningCurves", "plot_history"),
    "callbacks.reporting.history": ("history",),
    "callbacks.reporting.predictions": ("PredictionTable",),
    "callbacks.reporting.progress": ("EpochBar", "EpochLines"),
    "callbacks.reporting.results": ("ResultsTable",),
    "callbacks.resuming.exact_resume": ("ExactResume",),
    "callbacks.resuming.preemption": ("Preemption",),
    "callbacks.swa": ("SWA",),
    "callbacks.target": ("Target",),
    "lightning_modules.adversarial.sample_grid": ("SampleGrid",),
    "lightning_modules.optimizers.schedule_free": ("ScheduleFreeWeights",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)
