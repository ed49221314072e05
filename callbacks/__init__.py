"""Lightning callbacks."""

from callbacks.checkpointing.checkpoint import DurableCheckpoint
from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO
from callbacks.class_weights import ClassWeights
from callbacks.diagnostics.diagnostics import Diagnostics
from callbacks.distributed.rank_guard import RankGuard
from callbacks.gradients.gradient_norm import GradientNorm
from callbacks.learning_rate.finder import LRFinder, find_lr
from callbacks.learning_rate.scaling import ScaledRate
from callbacks.non_finite.black_box import BlackBox
from callbacks.preflight import Preflight
from callbacks.reporting.first_images import FirstImages
from callbacks.reporting.history import LearningCurves, history, plot_history
from callbacks.reporting.predictions import PredictionTable
from callbacks.reporting.progress import EpochBar, EpochLines
from callbacks.resuming.exact_resume import ExactResume
from callbacks.resuming.preemption import Preemption
from lightning_modules.adversarial.sample_grid import SampleGrid
from lightning_modules.optimizers.schedule_free import ScheduleFreeWeights

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
    "FirstImages",
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
