"""When a trainer logs, and the event writers of its TensorBoard loggers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


def is_logging_step(trainer: Trainer, steps: int) -> bool:
    """Return whether the trainer logs after this many optimizer steps (`log_every_n_steps`; 0: never)."""
    every: int = trainer.log_every_n_steps or 0  # type: ignore[attr-defined]
    return every > 0 and steps % every == 0


def tensorboards(trainer: Trainer) -> list[Any]:
    """Return the event writers of the trainer's TensorBoard loggers; on ranks above 0 they write nothing."""
    boards = [getattr(logger, "experiment", None) for logger in trainer.loggers]
    return [board for board in boards if hasattr(board, "add_histogram")]
