"""When a trainer writes logs, and its TensorBoard writers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def is_logged(trainer: Trainer, steps: int) -> bool:
    """Return whether Lightning writes a row when this many optimizer steps are taken; never with 0 or `None`."""
    every: int = trainer.log_every_n_steps or 0  # type: ignore[attr-defined]
    return every > 0 and steps % every == 0


def tensorboards(trainer: Trainer) -> list[Any]:
    """Return the writers of the trainer's TensorBoard loggers; other processes than the first write nowhere."""
    boards = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    return [board for board in boards if hasattr(board, "add_histogram")]
