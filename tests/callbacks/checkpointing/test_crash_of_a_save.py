"""A failure or a crash at every system call of a save: the older or the newer checkpoint is there, whole."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO, NameChanges
from callbacks.checkpointing.reading import newest_valid
from callbacks.checkpointing.seal import damage

CALLS = ("open", "write", "fsync", "link", "replace", "unlink")
KEPT = "previous.ckpt"


def save(folder: Path, epoch: int) -> None:
    """Save as the callback does for a new best model: one file with two names, the old last one kept."""
    last = folder / "last.ckpt"
    changes = NameChanges((last,), ((last, folder / KEPT),))
    DurableCheckpointIO().save_checkpoint({"epoch": epoch, "w": torch.zeros(300)}, folder / "best.ckpt", changes)


def patch(monkeypatch: pytest.MonkeyPatch, act: Callable[[int, str], None]) -> list[str]:
    """Call ``act(n, name)`` before the n-th system call; return the growing list of the calls' names."""
    seen: list[str] = []

    def wrapped(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            seen.append(name)
            act(len(seen) - 1, name)
            return original(*args, **options)

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrapped(name, getattr(os, name)))
    return seen


def calls_of_a_save(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    with monkeypatch.context() as context:
        seen = patch(context, lambda n, name: None)
        save(folder, 0)
        return list(seen)


def check(folder: Path, at: str) -> None:
    epochs = {}
    for path in folder.glob("*.ckpt"):
        assert damage(path) == "", f"{path.name} after {at}"
        epochs[path.name] = torch.load(path, weights_only=True)["epoch"]
    assert {"best.ckpt", "last.ckpt"} <= epochs.keys(), at
    assert epochs["last.ckpt"] in (1, 2), at
    assert epochs["best.ckpt"] in (1, 2), at
    assert epochs.get(KEPT, 0) in (0, 1), at
    newest = newest_valid(folder)
    assert newest is not None
    assert epochs[newest.name] == max(epochs.values())


def test_every_system_call_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 0)
    seen = calls_of_a_save(tmp_path, monkeypatch)
    assert seen.count("replace") == 3
    assert seen.count("fsync") == 4  # the file, and the folder after every replace
    assert seen.count("write") == 3


@pytest.mark.parametrize("crash", [False, True], ids=["error", "crash"])
def test_a_save_interrupted_at_every_system_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: bool) -> None:
    (tmp_path / "count").mkdir()
    save(tmp_path / "count", 0)
    calls = calls_of_a_save(tmp_path / "count", monkeypatch)
    for n, name in enumerate(calls):
        folder = tmp_path / f"{n}"
        folder.mkdir()
        save(folder, 0)
        save(folder, 1)
        at = f"call {n}, {name}"
        (crash_at if crash else fail_at)(folder, n, monkeypatch, at)
        check(folder, at)
        save(folder, 2)
        assert torch.load(folder / "last.ckpt", weights_only=True)["epoch"] == 2


def fail_at(folder: Path, place: int, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    def act(n: int, name: str) -> None:
        if n == place:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        patch(context, act)
        if at.endswith("link"):  # as on a file system without hard links, where the file is copied
            save(folder, 2)
        else:
            with pytest.raises(OSError, match=r"No space left on device; not saved.*\.ckpt'"):
                save(folder, 2)
    assert not list(folder.glob(".*")), at


def crash_at(folder: Path, place: int, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    child = os.fork()
    if child == 0:

        def act(n: int, name: str) -> None:
            if n == place:
                os._exit(77)

        try:
            patch(monkeypatch, act)
            save(folder, 2)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 77, at


def test_a_save_in_the_background_that_fails_after_the_fit_raises_at_once(tmp_path: Path) -> None:
    io = BackgroundCheckpointIO()
    io.teardown()  # Lightning's end of a fit
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        io.save_checkpoint({"state_dict": {}}, tmp_path / "file" / "last.ckpt")
