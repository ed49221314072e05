"""When a trainer logs, where a run's files lie, and the event writers of its TensorBoard loggers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from foundation.files import unused_name

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


# -- the folder of a run -----------------------------------------------------------------------------------------------


def own_folder(trainer: Trainer) -> Path | None:
    """Return the folder that Descent has made for this run; `None` for a trainer of another program."""
    folder: Path | None = getattr(trainer, "run_folder", None)
    return folder


def run_folder(trainer: Trainer) -> Path:
    """Return the folder for a run's files. It is a broadcast: every process calls it.

    It is the first of these that there is: the folder that Descent made for the run; that of the first `CSVLogger` or
    `TensorBoardLogger`; `SAVE_DIR/NAME/VERSION` of the first logger, as Lightning places its checkpoints;
    `default_root_dir`. `trainer.log_dir` is only the `save_dir` of another logger, which all runs share.
    """
    return Path(trainer.strategy.broadcast(str(_folder_of(trainer))))


def _folder_of(trainer: Trainer) -> Path:
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    if own := own_folder(trainer):
        return own
    for logger in trainer.loggers:
        if isinstance(logger, CSVLogger | TensorBoardLogger):
            return Path(logger.log_dir)
    if not trainer.loggers:
        return Path(trainer.default_root_dir)
    first = trainer.loggers[0]  # a number, or an identifier of its service
    version = first.version if isinstance(first.version, str) else f"version_{first.version}"
    return Path(first.save_dir or trainer.default_root_dir, str(first.name), version)


_chosen: WeakKeyDictionary[Trainer, dict[Path, Path]] = WeakKeyDictionary()


def report_path(trainer: Trainer, folder: Path, name: str) -> Path:
    """Return a path for a report that replaces no file but an earlier one of the same run; make its folder.

    Descent's own folder belongs to one run. Elsewhere a file that this run has not written keeps its name, and the
    report gets the next free one, `NAME-1`.

    Args:
        trainer: Of the run.
        folder: As `run_folder` returns it.
        name: Of the file, with its folder below `folder`.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if own_folder(trainer) == folder or _resumes_in(trainer, folder):
        return path
    chosen = _chosen.setdefault(trainer, {})
    if path not in chosen:
        chosen[path] = unused_name(path)
    return chosen[path]


def _resumes_in(trainer: Trainer, folder: Path) -> bool:
    resumed = trainer.ckpt_path
    return resumed is not None and Path(resumed).absolute().is_relative_to(folder.absolute())
