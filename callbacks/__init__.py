"""Lightning callbacks."""

from callbacks.background_io import BackgroundCheckpointIO
from callbacks.checkpoint import DurableCheckpoint
from callbacks.checkpoint_io import DurableCheckpointIO
from callbacks.exact_resume import ExactResume
from callbacks.preemption import Preemption

__all__ = ["BackgroundCheckpointIO", "DurableCheckpoint", "DurableCheckpointIO", "ExactResume", "Preemption"]
