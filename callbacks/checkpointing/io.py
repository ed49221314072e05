"""Checkpoint IO for Lightning: saves that survive a crash, loads that run no pickled code."""

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from callbacks.checkpointing.reading import read_checkpoint
from callbacks.checkpointing.seal import replace_durably
from callbacks.checkpointing.snapshot import snapshot
from foundation.files import link_durably


@dataclass(frozen=True)
class NameChanges:
    """Changes to other file names once a checkpoint is written completely.

    Args:
        links: Further names for the new file.
        keep: Pairs of a name and the new name of the old file that has it.
        remove: Files to delete, last of all.
    """

    links: tuple[Path, ...] = ()
    keep: tuple[tuple[Path, Path], ...] = ()
    remove: tuple[Path, ...] = ()


class DurableCheckpointIO(TorchCheckpointIO):
    """Checkpoint IO for ``Trainer(plugins=[...])`` that replaces files atomically: each is the old or new one.

    A file is written beside its final name, synced to the disk, and renamed over it. Lightning writes to the system's
    temporary folder first; if that is on another file system, it then copies over the good checkpoint. Remote paths
    (such as ``s3://``) are left to Lightning: object stores replace a file atomically.

    Example:
        >>> path = getfixture("tmp_path") / "last.ckpt"
        >>> DurableCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 3}, path)
        >>> DurableCheckpointIO().load_checkpoint(path)
        {'state_dict': {}, 'epoch': 3}
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: NameChanges | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``, then make the changes of ``storage_options``.

        Raises:
            TypeError: ``storage_options`` are those of another checkpoint IO.
        """
        foreign = storage_options is not None and not isinstance(storage_options, NameChanges)
        if foreign or is_remote(path):  # Lightning's own refuses every option
            super().save_checkpoint(checkpoint, path, storage_options if foreign else None)
            return
        target, changes = Path(path).expanduser(), storage_options or NameChanges()
        target.parent.mkdir(parents=True, exist_ok=True)
        keep = dict(changes.keep)
        replace_durably(target, lambda stream: torch.save(checkpoint, cast(IO[bytes], stream)), keep=keep.get(target))
        for name in changes.links:
            link_durably(target, name, keep=keep.get(name))
        for name in changes.remove:
            name.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a verified checkpoint onto the CPU; ``weights_only=None`` means True."""
        if is_remote(path):
            return super().load_checkpoint(path, map_location or keep_on_cpu, weights_only is not False)
        return read_checkpoint(Path(path).expanduser(), map_location or keep_on_cpu, weights_only, any_sealed=True)


def keep_on_cpu(storage: Any, location: str) -> Any:
    """Load onto the CPU (a ``map_location``); the strategy moves the tensors later."""
    return storage


def is_remote(path: str | Path) -> bool:
    """Return whether a path is a URL.

    Example:
        >>> is_remote("s3://bucket/last.ckpt"), is_remote("runs/1/last.ckpt")
        (True, False)
    """
    return "://" in str(path)


class BackgroundCheckpointIO(DurableCheckpointIO):
    """`DurableCheckpointIO` that writes in a background thread, with the same guarantees.

    Training waits while every tensor is copied to CPU memory, and for an earlier save that is still being written. The
    error of a failed save is raised by the next save or load, or at the end of the fit. After the end of the fit it
    saves before it returns, as nothing would wait for the thread and see its error.

    Example:
        >>> path = getfixture("tmp_path") / "last.ckpt"
        >>> io = BackgroundCheckpointIO()
        >>> io.save_checkpoint({"state_dict": {}, "epoch": 3}, path)
        >>> io.load_checkpoint(path)
        {'state_dict': {}, 'epoch': 3}
        >>> io.teardown()
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_background = True
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None
        self._buffers: list[Tensor] = []

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: NameChanges | None = None
    ) -> None:
        """Copy the tensors now and write them in the background, until `teardown`."""
        self.wait()
        if not self.in_background or "state_dict" not in checkpoint:  # bare weights: another process waits for them
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        copy: dict[str, Any] = snapshot(checkpoint, self._buffers)
        self._running = self._thread.submit(super().save_checkpoint, copy, path, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Wait for the save that is being written, then read."""
        self.wait()
        return super().load_checkpoint(path, map_location, weights_only)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Wait for the save that is being written, then remove."""
        self.wait()
        super().remove_checkpoint(path)

    def wait(self) -> None:
        """Wait until the running save is on the disk.

        Raises:
            OSError: That save failed.
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def teardown(self) -> None:
        """Finish the running save, end the thread, and save without it from now on."""
        self.in_background = False
        try:
            self.wait()
        finally:
            thread, self._thread, self._buffers = self._thread, None, []
            if thread is not None:
                thread.shutdown()
