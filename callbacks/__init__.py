"""Lightning callbacks."""

from callbacks.background_io import BackgroundCheckpointIO
from callbacks.checkpoint import DurableCheckpoint
from callbacks.checkpoint_io import DurableCheckpointIO

__all__ = ["BackgroundCheckpointIO", "DurableCheckpoint", "DurableCheckpointIO"]
