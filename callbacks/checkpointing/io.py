"""The seam between Lightning and the disk: saves that survive a crash, loads that run no code."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from callbacks.checkpointing.reading import read_checkpoint
from callbacks.checkpointing.seal import replace_durably
from foundation.files import link_durably


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


class BackgroundCheckpointIO(DurableCheckpointIO):
    """`DurableCheckpointIO` whose writing happens in a thread, with the same guarantees.

    The training thread waits for a copy of every tensor to the CPU's memory, and for an earlier save that is not
    finished: there is never more than one. A failed save is raised by the next save, load or at the end of the fit.

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
        self._thread: ThreadPoolExecutor | None = None
        self._running: Future[None] | None = None
        self._buffers: list[Tensor] = []

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Placement | None = None
    ) -> None:
        """Copy the tensors now, write them soon."""
        self.wait()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        copy: dict[str, Any] = snapshot(checkpoint, self._buffers)
        self._running = self._thread.submit(super().save_checkpoint, copy, path, storage_options)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read, after what is still being written."""
        self.wait()
        return super().load_checkpoint(path, map_location, weights_only)

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove, after what is still being written."""
        self.wait()
        super().remove_checkpoint(path)

    def wait(self) -> None:
        """Return when everything is on the disk.

        Raises:
            OSError: The save that was running failed.
        """
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def teardown(self) -> None:
        """Finish the save that is running and end the thread."""
        try:
            self.wait()
        finally:
            thread, self._thread, self._buffers = self._thread, None, []
            if thread is not None:
                thread.shutdown()


def snapshot(value: Any, buffers: list[Tensor] | None = None) -> Any:
    """Copy of nested containers that later training does not change; a tensor that occurs twice is copied once.

    Args:
        value: Dicts, lists, tuples, tensors and plain values.
        buffers: Tensors of an earlier copy, to be written over where they fit: fresh memory costs more than the copy.
            What is used now stands in it afterwards.

    Example:
        >>> import torch
        >>> weight = torch.zeros(2)
        >>> taken = snapshot({"state": [weight, weight]})
        >>> weight.add_(1)
        tensor([1., 1.])
        >>> taken["state"][0], taken["state"][0] is taken["state"][1]
        (tensor([0., 0.]), True)
    """
    buffers = [] if buffers is None else buffers
    seen: dict[int, Tensor] = {}
    copied = _copy(value, seen, iter(list(buffers)))
    buffers[:] = seen.values()
    return copied


def _copy(value: Any, seen: dict[int, Tensor], spare: Iterator[Tensor]) -> Any:
    if isinstance(value, Tensor):
        if id(value) not in seen:
            seen[id(value)] = _on_cpu(value.detach(), next(spare, None))
        return seen[id(value)]
    if isinstance(value, Mapping):
        copied = {key: _copy(item, seen, spare) for key, item in value.items()}
        return copied if type(value) is dict else _like(value, copied)
    if type(value) in (list, tuple, set):
        return type(value)(_copy(item, seen, spare) for item in value)
    return value


def _on_cpu(source: Tensor, buffer: Tensor | None) -> Tensor:
    layout = (source.shape, source.dtype, source.stride())
    if buffer is not None and (buffer.shape, buffer.dtype, buffer.stride()) == layout:
        return buffer.copy_(source)
    return source.clone() if source.device.type == "cpu" else source.to("cpu")


def _like(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """An ``OrderedDict`` stays one."""
    try:
        return type(original)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
