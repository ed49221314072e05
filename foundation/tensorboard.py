"""What writes TensorBoard's events."""

from typing import Any

from lightning.pytorch import Trainer


def tensorboards(trainer: Trainer) -> list[Any]:
    """The writers of the trainer's TensorBoard loggers; other processes than the first write nowhere."""
    boards = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    return [board for board in boards if hasattr(board, "add_histogram")]
