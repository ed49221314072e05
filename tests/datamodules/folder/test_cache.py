"""Cache files: complete or missing, even if a process is killed or another one writes; and their location."""

import errno
import json
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from datamodules.folder.cache_file import ImageCache
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.places import cache_folders, locked, writable_folder
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.images import Images
from foundation.files import replacing
from tests.datamodules.support import image_folder

FORM = ImageFormat(8, 8, "RGB", "crop")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return image_folder(tmp_path / "images")


def opened(root: Path, cache_dir: Path | None = None) -> Images:
    return FolderCache(root, "train", FORM, ["cat", "dog"], cache_dir).images()


def names(folder: Path) -> list[str]:
    return sorted(file.name.split("-")[0] + file.suffix for file in folder.iterdir())


def test_two_files_and_nothing_else(root: Path) -> None:
    opened(root)
    assert names(root / ".descent_cache") == ["train.json", "train.u8"]


def test_pixels_are_memory_mapped(root: Path) -> None:
    images = opened(root)
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("no /proc")
    assert str(root / ".descent_cache" / "train-8x8") in maps.read_text()
    assert images.pixels.shape == (10, 8, 8, 3)


def test_writing_to_mapped_pixels_leaves_the_file(root: Path) -> None:
    before = opened(root).pixels.clone()
    opened(root).pixels.zero_()
    assert torch.equal(opened(root).pixels, before)


@pytest.mark.parametrize(
    "damage",
    ["shorter", "longer", "missing", "no json", "half json", "strange json", "older version"],
)
def test_damaged_cache_is_rebuilt(damage: str, root: Path) -> None:
    before = opened(root).pixels.clone()
    folder = root / ".descent_cache"
    pixels, text = next(folder.glob("*.u8")), next(folder.glob("*.json"))
    if damage == "shorter":
        os.truncate(pixels, 100)
    elif damage == "longer":
        pixels.write_bytes(pixels.read_bytes() + b"x")
    elif damage == "missing":
        pixels.unlink()
    elif damage == "no json":
        text.unlink()
    elif damage == "half json":
        text.write_text(text.read_text()[:50])
    elif damage == "strange json":
        text.write_text("[1, 2]")
    else:
        text.write_text(json.dumps(json.loads(text.read_text()) | {"version": 0}))
    assert torch.equal(opened(root).pixels, before)
    assert names(folder) == ["train.json", "train.u8"]


def test_mapped_pixels_stay_valid_after_a_rebuild(root: Path) -> None:
    images = opened(root)
    before = images.pixels.clone()
    (root / "train" / "cat" / "0.png").unlink()
    assert len(opened(root).targets) == 9
    assert torch.equal(images.pixels, before)


def _open_and_sum(root: Path, queue: "multiprocessing.Queue[int]") -> None:
    queue.put(int(opened(root).pixels.sum(dtype=torch.int64)))


def test_several_processes_start_at_once(root: Path) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[int] = context.Queue()
    processes = [context.Process(target=_open_and_sum, args=(root, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    sums = [queue.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(60)
    assert sums == [int(opened(root).pixels.sum(dtype=torch.int64))] * 4
    assert names(root / ".descent_cache") == ["train.json", "train.u8"]


SLOW = """
import sys, time
from pathlib import Path
import datamodules.folder.parallel_decoding as parallel
from datamodules.folder.decoding import ImageFormat
from datamodules.folder.split_cache import FolderCache

def slow(path, form):
    time.sleep(1)
    raise OSError
parallel.decode = slow
print("start", flush=True)
FolderCache(Path(sys.argv[1]), "train", ImageFormat(8, 8, "RGB", "crop"), ["cat", "dog"]).images()
"""


def interrupted(root: Path, number: signal.Signals) -> int:
    """Send a signal while a fork decodes images; its exit code."""
    process = os.fork()
    if not process:
        try:
            os.setsid()
            sys.argv = ["", str(root)]
            exec(SLOW, {"__name__": "__main__"})
        finally:
            os._exit(1)
    deadline = time.monotonic() + 240
    while not list((root / ".descent_cache").glob("*.tmp")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process, number)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_interrupt_leaves_no_files(root: Path) -> None:
    assert interrupted(root, signal.SIGINT) != 0
    assert list((root / ".descent_cache").iterdir()) == []


def test_leftovers_of_a_killed_process_are_removed_by_the_next(root: Path) -> None:
    assert interrupted(root, signal.SIGKILL) == -signal.SIGKILL
    assert len(opened(root).targets) == 10
    assert names(root / ".descent_cache") == ["train.json", "train.u8"]


def test_full_disk_raises_and_leaves_no_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("datamodules.folder.building.decode_all", full)
    with pytest.raises(OSError, match="No space left on device"):
        opened(root)
    assert list((root / ".descent_cache").iterdir()) == []


def test_a_decoding_process_that_is_killed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("datamodules.folder.parallel_decoding.usable_cores", lambda: 2)
    monkeypatch.setattr("datamodules.folder.parallel_decoding._CHUNK", 5)  # two tasks, thus processes
    monkeypatch.setattr("datamodules.folder.parallel_decoding.decode", killed)
    with pytest.raises(OSError, match=r"a process that was decoding .*train was killed; is the memory full\?"):
        opened(root)
    assert list((root / ".descent_cache").iterdir()) == []


def test_one_process_at_a_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    context = multiprocessing.get_context("fork")
    holding, go = context.Event(), context.Event()

    def hold() -> None:
        with locked(tmp_path):
            holding.set()
            go.wait(60)

    process = context.Process(target=hold)
    process.start()
    assert holding.wait(60)

    def release() -> None:
        time.sleep(0.3)
        go.set()

    later = context.Process(target=release)
    later.start()
    with caplog.at_level("INFO"), locked(tmp_path):
        assert go.is_set()
    assert "Waiting for another process" in caplog.text
    process.join(60)
    later.join(60)


def test_filesystem_without_locks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    (root / ".descent_cache").mkdir()
    (root / ".descent_cache" / ".train-8x8-RGB-crop-0.u8.host.1.0a0a0a0a.tmp").touch()
    assert len(opened(root).targets) == 10
    # The temporary file may belong to another process that is writing.
    assert names(root / ".descent_cache") == [".train.tmp", "train.json", "train.u8"]


def test_replacing_keeps_the_old_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def fail() -> None:
        with replacing(tmp_path / "a") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a", "old")]


def test_cache_elsewhere_does_not_mix_roots(tmp_path: Path) -> None:
    one, other = image_folder(tmp_path / "1" / "a"), image_folder(tmp_path / "2" / "a", train=2)
    cache = tmp_path / "cache"
    assert len(opened(one, cache).targets) == 10
    assert len(opened(other, cache).targets) == 4
    assert len(opened(one, cache).targets) == 10
    assert len(list(cache.iterdir())) == 2
    assert not (one / ".descent_cache").exists()


def test_root_that_cannot_be_written_to(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (root / ".descent_cache").write_text("a file where the folder would be, which stops the superuser too")
    with caplog.at_level("INFO"):
        assert len(opened(root).targets) == 10
    assert "The image cache is written to" in caplog.text
    assert names(cache_folders(root, None)[1]) == ["train.json", "train.u8"]
    assert cache_folders(root, None)[1].is_relative_to(tmp_path / "home")
    monkeypatch.setattr("datamodules.folder.building.decode_all", None)
    assert len(opened(root).targets) == 10


def test_no_writable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        PermissionError, match=r"no writable folder for the image cache: .*file/a .*; set data.cache_dir"
    ):
        writable_folder([tmp_path / "file" / "a", tmp_path / "file" / "b"])


def test_missing_pixels_are_an_error_with_the_path(root: Path) -> None:
    opened(root)
    cache = ImageCache(root / ".descent_cache", "train-8x8-RGB-crop")
    entry = cache.read()
    assert entry is not None
    cache.pixel_file(entry.digest).unlink()
    with pytest.raises(FileNotFoundError, match=r"train-8x8-RGB-crop-\w+\.u8 cannot be mapped"):
        cache.images(entry, ["cat", "dog"])
