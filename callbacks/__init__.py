"""Lightning callbacks."""

from callbacks.checkpoint import DurableCheckpoint
from callbacks.checkpoint_io import DurableCheckpointIO

__all__ = ["DurableCheckpoint", "DurableCheckpointIO"]
