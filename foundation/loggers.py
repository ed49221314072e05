"""When a trainer logs, where a run's files lie, and the event writers of its TensorBoard loggers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from foundation.errors import UserError
from foundation.files import unused_name

if TYPE_CHECKING:
    from lightning.pytorch import Trainer


WITHIN = "within_"
"""Begins the names of gradients' and layers' charts in TensorBoard, which then come after `train` and `val`."""


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


def run_folder(trainer: Trainer, or_error: bool = False) -> Path:
    """Return the folder for a run's files. It is a broadcast: every process calls it.

    It is the first of these that there is: the folder that Descent made for the run; that of the first `CSVLogger` or
    `TensorBoardLogger`; `SAVE_DIR/NAME/VERSION` of the first logger, as Lightning places its checkpoints;
    `default_root_dir`. `trainer.log_dir` is only the `save_dir` of another logger, which all runs share.

    Args:
        trainer: Of the run.
        or_error: Whether a URL, such as `s3://…`, is an error; else the next of these that is a local folder counts.

    Raises:
        UserError: The folder is a URL.
    """
    places = list(_places(trainer))
    remote = [place for place in places if "://" in place]
    if remote and ((or_error and places[0] in remote) or len(remote) == len(places)):
        raise UserError(
            f"the run's files would lie in {places[0]}, and Descent writes to folders of this machine only: set dirpath"
            " of the checkpoint callback, or a local default_root_dir or save_dir, and copy the folder afterwards."
        )
    return Path(trainer.strategy.broadcast(next(place for place in places if place not in remote)))


def _places(trainer: Trainer) -> Iterator[str]:
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    if own := own_folder(trainer):
        yield str(own)
        return
    yield from (str(log.log_dir) for log in trainer.loggers if isinstance(log, CSVLogger | TensorBoardLogger))
    for logger in trainer.loggers[:1]:  # its version is a number, or an identifier of its service
        version = logger.version if isinstance(logger.version, str) else f"version_{logger.version}"
        yield f"{logger.save_dir or trainer.default_root_dir}/{logger.name}/{version}"
    yield str(trainer.default_root_dir)


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
    return resumed is not None and Path(resumed).expanduser().absolute().is_relative_to(folder.absolute())
