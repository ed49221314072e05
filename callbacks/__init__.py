"""Lightning callbacks."""

from callbacks.background_io import BackgroundCheckpointIO
from callbacks.black_box import BlackBox
from callbacks.checkpoint import DurableCheckpoint
from callbacks.checkpoint_io import DurableCheckpointIO
from callbacks.class_weights import ClassWeights
from callbacks.diagnostics import Diagnostics
from callbacks.exact_resume import ExactResume
from callbacks.first_pictures import FirstPictures
from callbacks.gradient_norm import GradientNorm
from callbacks.history import history, plot_history
from callbacks.learning_curves import LearningCurves
from callbacks.lr_finder import LRFinder, find_lr
from callbacks.predictions import PredictionTable
from callbacks.preemption import Preemption
from callbacks.preflight import Preflight
from callbacks.progress import EpochBar, EpochLines
from callbacks.rank_guard import RankGuard
from callbacks.sample_grid import SampleGrid
from callbacks.scaled_rate import ScaledRate
from callbacks.schedule_free import ScheduleFreeWeights

__all__ = [
    "BackgroundCheckpointIO",
    "BlackBox",
    "ClassWeights",
    "Diagnostics",
    "DurableCheckpoint",
    "DurableCheckpointIO",
    "EpochBar",
    "EpochLines",
    "ExactResume",
    "FirstPictures",
    "GradientNorm",
    "LRFinder",
    "LearningCurves",
    "PredictionTable",
    "Preemption",
    "Preflight",
    "RankGuard",
    "SampleGrid",
    "ScaledRate",
    "ScheduleFreeWeights",
    "find_lr",
    "history",
    "plot_history",
]
