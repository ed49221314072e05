"""Full disks, quotas, read-only and temporary folders, symbolic links, two writers: no saved checkpoint is lost."""

import errno
import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from callbacks.checkpointing.io import BackgroundCheckpointIO, DurableCheckpointIO
from callbacks.checkpointing.seal import damage
from foundation.files import remove_leftovers

BIG, SMALL = 400_000, 100  # floats
mounting = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


def save(path: Path, epoch: int, size: int = SMALL) -> None:
    DurableCheckpointIO().save_checkpoint({"state_dict": {}, "epoch": epoch, "w": torch.randn(size)}, path)


def epoch_of(path: Path) -> int:
    return int(DurableCheckpointIO().load_checkpoint(path)["epoch"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@mounting
@pytest.mark.parametrize("kind", [DurableCheckpointIO, BackgroundCheckpointIO])
def test_full_disk(tmp_path: Path, kind: type[DurableCheckpointIO]) -> None:
    io = kind()
    with small_disk(tmp_path / "disk") as disk:
        save(disk / "last.ckpt", 1)
        with pytest.raises(OSError, match=r"No space left on device; not saved.*last.ckpt") as caught:  # noqa: PT012
            io.save_checkpoint({"state_dict": {}, "epoch": 2, "w": torch.randn(BIG)}, disk / "last.ckpt")
            io.teardown()
        assert caught.value.errno == errno.ENOSPC
        assert epoch_of(disk / "last.ckpt") == 1
        assert [path.name for path in disk.iterdir()] == ["last.ckpt"]  # the space of the failed save is free again
        save(disk / "last.ckpt", 3)
        assert epoch_of(disk / "last.ckpt") == 3


def test_quota(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save(path, 1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OSError, match=r"File too large; not saved.*last.ckpt"):
            save(path, 2, BIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert epoch_of(path) == 1
    assert names(tmp_path) == ["last.ckpt"]


@mounting
def test_folder_made_read_only_by_the_administrator(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        save(disk / "last.ckpt", 1)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(OSError, match=r"Read-only file system; not saved.*last.ckpt"):
            save(disk / "last.ckpt", 2)
        assert epoch_of(disk / "last.ckpt") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; the mounted read-only folder covers it")
def test_folder_without_permission(tmp_path: Path) -> None:
    save(tmp_path / "last.ckpt", 1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(PermissionError, match=r"Permission denied; not saved.*last.ckpt"):
            save(tmp_path / "last.ckpt", 2)
    finally:
        tmp_path.chmod(0o755)
    assert epoch_of(tmp_path / "last.ckpt") == 1


@mounting
def test_temporary_folder_on_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "disk") as disk:
        monkeypatch.setenv("TMPDIR", str(disk))
        monkeypatch.setattr(tempfile, "tempdir", None)
        assert tempfile.gettempdir() == str(disk)
        save(tmp_path / "last.ckpt", 1, BIG)  # larger than that disk
        assert epoch_of(tmp_path / "last.ckpt") == 1
        assert not list(disk.iterdir())


def test_symbolic_link_in_place_of_the_file(tmp_path: Path) -> None:
    target, link = tmp_path / "elsewhere.ckpt", tmp_path / "run" / "last.ckpt"
    save(target, 1)
    link.parent.mkdir()
    link.symlink_to(target)
    assert epoch_of(link) == 1
    save(link, 2)
    assert not link.is_symlink()
    assert (epoch_of(target), epoch_of(link)) == (1, 2)
    target.unlink()
    link.unlink()
    link.symlink_to(target)  # the target does not exist
    save(link, 3)
    assert epoch_of(link) == 3
    assert not target.exists()


def test_two_writers_in_one_folder(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    children = []
    for writer in range(2):
        child = os.fork()
        if child == 0:
            try:
                for n in range(20):
                    remove_leftovers(tmp_path)
                    save(path, 100 * writer + n, 20_000)
            except BaseException:
                os._exit(1)
            os._exit(0)
        children.append(child)
    seen = 0
    while children:
        if path.exists():
            seen += 1
            assert damage(path) == ""
        done, status = os.waitpid(children[0], os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            children.pop(0)
    assert seen > 1
    assert epoch_of(path) % 100 == 19
    assert names(tmp_path) == ["last.ckpt"]


def test_temporary_files_of_dead_processes_are_removed_and_no_other_file(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    host = os.uname().nodename
    (tmp_path / f".last.ckpt.{host}.{child}.0a0a0a0a.tmp").touch()
    kept = [
        f".last.ckpt.{host}.{os.getppid()}.0a0a0a0a.tmp",
        ".last.ckpt.other-host.1.0a0a0a0a.tmp",
        ".mine.tmp",
        "a.tmp",
    ]
    for name in kept:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(kept)
