"""The seam between Lightning and the disk: saves that survive a crash, loads that run no code."""

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from callbacks.checkpoint_file import read_checkpoint
from callbacks.durable_file import link_durably, replace_durably


@dataclass(frozen=True)
class Placement:
    """What happens to other names in the folder once a checkpoint is completely written.

    Args:
        links: Further names for the new file.
        retire: Name → name under which the file that stands there is kept before it is replaced.
        remove: Files that go, last of all.
    """

    links: tuple[Path, ...] = ()
    retire: tuple[tuple[Path, Path], ...] = ()
    remove: tuple[Path, ...] = ()


class DurableCheckpointIO(TorchCheckpointIO):
    """Checkpoint IO for ``Trainer(plugins=[...])`` whose files are always either the old or the new one, whole.

    A file is written beside its final name, synced to the disk, and renamed over it. Lightning's own goes through the
    system's temporary folder: on another file system that is a plain copy over the good checkpoint. Remote paths
    (``s3://`` and the like) are left to Lightning's, whose object stores replace atomically by themselves.

    Example:
        >>> path = getfixture("tmp_path") / "last.ckpt"
        >>> DurableCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": 3}, path)
        >>> DurableCheckpointIO().load_checkpoint(path)
        {'state_dict': {}, 'epoch': 3}
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Placement | None = None
    ) -> None:
        """Write ``checkpoint`` to ``path``, then do what ``storage_options`` says about the names around it."""
        if is_remote(path):
            super().save_checkpoint(checkpoint, path)
            return
        target, around = Path(path), storage_options or Placement()
        target.parent.mkdir(parents=True, exist_ok=True)
        retire = dict(around.retire)
        replace_durably(target, lambda stream: torch.save(checkpoint, cast(IO[bytes], stream)), keep=retire.get(target))
        for name in around.links:
            link_durably(target, name, keep=retire.get(name))
        for name in around.remove:
            name.unlink(missing_ok=True)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a verified checkpoint onto the CPU; ``weights_only=None`` means True."""
        if is_remote(path):
            return super().load_checkpoint(path, map_location or on_cpu, weights_only is not False)
        return read_checkpoint(Path(path), map_location or on_cpu, weights_only)


def on_cpu(storage: Any, location: str) -> Any:
    """A ``map_location`` that leaves everything on the CPU, for the strategy to move."""
    return storage


def is_remote(path: str | Path) -> bool:
    """Whether a path is a URL.

    Example:
        >>> is_remote("s3://bucket/last.ckpt"), is_remote("runs/1/last.ckpt")
        (True, False)
    """
    return "://" in str(path)
