"""The folder that a run saves its checkpoints in, where it replaces no file of another run."""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from callbacks.checkpointing.reading import BEST, EXCEPTION, LAST, PREVIOUS, last_valid
from callbacks.checkpointing.seal import saved_ns
from foundation.loggers import own_folder
from foundation.processes import say

if TYPE_CHECKING:
    from lightning.pytorch import Trainer

RANKED = re.compile(r"epoch\d+-step\d+\.ckpt")


def holds_checkpoints(folder: Path) -> bool:
    """Return whether a run of Descent has saved checkpoints directly in a folder."""
    if not folder.is_dir():
        return False
    return any(
        entry.name in (BEST, LAST, PREVIOUS, EXCEPTION) or RANKED.fullmatch(entry.name) for entry in os.scandir(folder)
    )


@dataclass(frozen=True)
class CheckpointFolder:
    """The folders of the runs that are told to save in the same one.

    The first run takes `root`, those after it `root/1`, `root/2`, …. A run that resumes from a checkpoint in one of
    them goes on there, and so does a trainer that fits again.

    Args:
        root: What the callback is given.
        name: Folder of this callback below that of the run: empty, except for further checkpoint callbacks.
        names: Those of all callbacks of the trainer.
    """

    root: Path
    name: str = ""
    names: frozenset[str] = frozenset()

    def choose(self, trainer: Trainer) -> Path:
        """Return the folder that this run would take now."""
        taken = _taken.get(trainer, {})
        if self in taken:
            return taken[self]
        resumed = self.resumed(trainer)
        return resumed or next(folder for folder in self.numbered() if not holds_checkpoints(folder))

    def take(self, trainer: Trainer) -> Path:
        """Take a folder, at the first save; of two runs that do so at the same time, only one gets it.

        The lock on it is held as long as the trainer exists. Windows, and file systems that cannot lock a folder, have
        no lock.
        """
        taken = _taken.setdefault(trainer, {})
        if self not in taken:
            taken[self] = self.resumed(trainer) or next(filter(partial(_is_free, trainer), self.numbered()))
            if taken[self] not in (self.resumed(trainer), self.root / self.name):
                say(f"{self.root} holds the checkpoints of another run; this one saves in {taken[self]}.")
        return taken[self]

    def newest(self) -> tuple[Path | None, str]:
        """Return the newest valid checkpoint of all the runs, as `last_valid` does for one."""
        found = [last_valid(folder) for folder in self.numbered(existing=True)]
        valid = [each for each in found if each[0] is not None]
        return max(valid, key=lambda each: saved_ns(each[0] or Path()), default=(found or [(None, "")])[0])

    def numbered(self, existing: bool = False) -> Iterator[Path]:
        """Yield the folders of the first run, the second, …: without end, or as long as they hold checkpoints."""
        for number in count():
            folder = (self.root / str(number) if number else self.root) / self.name
            if existing and number and not holds_checkpoints(folder):
                return
            yield folder

    def resumed(self, trainer: Trainer) -> Path | None:
        """Return the folder of the run that is resumed, if it is one of these; Descent's own belongs to one run."""
        root = self.root.absolute()
        if (own := own_folder(trainer)) is not None and own.absolute() in root.parents:
            return self.root / self.name
        if trainer.ckpt_path is None:
            return None
        parent = Path(trainer.ckpt_path).expanduser().absolute().parent
        run = parent.parent if parent.name in self.names else parent
        return run / self.name if run == root or (run.parent == root and run.name.isdigit()) else None


_taken: WeakKeyDictionary[Trainer, dict[CheckpointFolder, Path]] = WeakKeyDictionary()


def shared_folder(root: Path, labels: Sequence[str], index: int) -> CheckpointFolder:
    """Return the folder of one of a trainer's callbacks that are all told to save in `root`.

    Args:
        root: The first saves there, the others in folders below that are named after their labels.
        labels: Of the callbacks.
        index: Of the one that asks.

    Example:
        >>> folder = shared_folder(Path("checkpoints"), ["val/loss", "val/accuracy", "val/accuracy"], 1)
        >>> folder.name
        'val_accuracy'
    """
    slugs = [re.sub(r"[^\w.-]+", "_", label) for label in labels]
    names = ["", *(f"{s}_{n}" if s in slugs[1:n] else s for n, s in enumerate(slugs) if n)]
    return CheckpointFolder(root, names[index], frozenset(names[1:]))


def _is_free(trainer: Trainer, folder: Path) -> bool:
    """Make a folder and lock it; return whether that worked and no other run has saved there."""
    folder.mkdir(parents=True, exist_ok=True)
    unlock = _lock(folder)
    if unlock is None or holds_checkpoints(folder):
        (unlock or (lambda: None))()
        return False
    weakref.finalize(trainer, unlock)
    return True


def _lock(folder: Path) -> Callable[[], None] | None:
    """Lock a folder; return what unlocks it, or `None` if another run has locked it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return lambda: None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # a file system without such locks
        os.close(descriptor)
        return lambda: None
    return partial(os.close, descriptor)
