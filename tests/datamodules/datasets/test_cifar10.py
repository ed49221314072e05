"""CIFAR-10 from a small archive in the official format: unpacked, downloaded from a local server, rejected."""

import functools
import hashlib
import http.server
import io
import pickle
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from datamodules import CIFAR10DataModule
from foundation.errors import UserError

PER_BATCH = 40


def content(seed: int) -> bytes:
    data = np.random.default_rng(seed).integers(0, 256, (PER_BATCH, 3072), dtype=np.uint8)
    return pickle.dumps({"data": data, "labels": [i % 10 for i in range(PER_BATCH)]})


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small archive whose checksums torchvision accepts, and no network."""
    files = {name: content(i) for i, (name, _) in enumerate((*CIFAR10.train_list, *CIFAR10.test_list))}
    files["batches.meta"] = pickle.dumps({"label_names": CIFAR10DataModule.class_names})
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    sums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
    for attribute in ("train_list", "test_list"):
        monkeypatch.setattr(CIFAR10, attribute, [[name, sums[name]] for name, _ in getattr(CIFAR10, attribute)])
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(buffer.getvalue()).hexdigest())
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")  # a closed port
    return buffer.getvalue()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on a local server; the archive in it is what a download gets."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{server.server_port}/cifar-10-python.tar.gz")
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def assert_ready(root: Path) -> None:
    data = CIFAR10DataModule(str(root), batch_size=10)
    data.prepare_data()
    data.setup("fit")
    data.setup("test")
    assert data.train_set is not None
    assert data.val_set is not None
    assert data.test_set is not None
    assert (len(data.train_set), len(data.val_set), len(data.test_set)) == (180, 20, 40)
    for dataset, train in ((data.train_set, True), (data.test_set, False)):
        theirs = CIFAR10(str(root), train=train)
        assert torch.equal(dataset.images.pixels, torch.from_numpy(np.ascontiguousarray(theirs.data)))
        assert dataset.images.targets.tolist() == theirs.targets
    assert dataset.images.pixels.is_contiguous()


def names(root: Path) -> list[str]:
    return sorted(file.name for file in root.iterdir())


def test_archive_put_there_by_hand(archive: bytes, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / CIFAR10.filename).write_bytes(archive)
    assert_ready(root)
    assert names(root) == ["cifar-10-batches-py", "cifar-10-python.tar.gz"]


def test_download(archive: bytes, served: Path, tmp_path: Path) -> None:
    (served / CIFAR10.filename).write_bytes(archive)
    assert_ready(tmp_path / "data")
    assert names(tmp_path / "data") == ["cifar-10-batches-py"]


def test_nothing_is_fetched_twice(archive: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    root.mkdir()
    (root / CIFAR10.filename).write_bytes(archive)
    CIFAR10DataModule(str(root)).prepare_data()
    (root / CIFAR10.filename).unlink()
    assert_ready(root)


def test_no_network(archive: bytes, tmp_path: Path) -> None:
    root = tmp_path / "data"
    message = r"CIFAR-10 is not in .*data and cannot be downloaded from http.*: put cifar-10-python\.tar\.gz into .*image_folder"
    with pytest.raises(UserError, match=message) as error:
        CIFAR10DataModule(str(root)).prepare_data()
    assert "\n" not in str(error.value)
    assert names(root) == []


def test_incomplete_download(archive: bytes, served: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (served / CIFAR10.filename).write_bytes(archive[:1000])
    with pytest.raises(UserError, match="cannot be downloaded"):
        CIFAR10DataModule(str(root)).prepare_data()
    assert names(root) == []
    (served / CIFAR10.filename).write_bytes(archive)
    assert_ready(root)


def test_wrong_archive_by_hand(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / CIFAR10.filename).write_bytes(archive[:1000])
    with pytest.raises(UserError, match="is not the official archive, or is incomplete"):
        CIFAR10DataModule(str(tmp_path)).prepare_data()


def test_damaged_batch_is_not_unpickled(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / CIFAR10.filename).write_bytes(archive)
    data = CIFAR10DataModule(str(tmp_path))
    data.prepare_data()
    (tmp_path / CIFAR10.base_folder / "data_batch_2").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UserError, match="data_batch_2 is not the official file: remove it"):
        data.setup("fit")
    (tmp_path / CIFAR10.base_folder / "data_batch_2").unlink()
    with pytest.raises(UserError, match="data_batch_2 does not exist"):
        data.setup("fit")
    assert_ready(tmp_path)


def test_training_does_not_read_the_test_batch(archive: bytes, tmp_path: Path) -> None:
    (tmp_path / CIFAR10.filename).write_bytes(archive)
    data = CIFAR10DataModule(str(tmp_path), batch_size=10)
    data.prepare_data()
    (tmp_path / CIFAR10.base_folder / "test_batch").write_bytes(b"damaged")
    data.setup("fit")
    with pytest.raises(UserError, match="test_batch is not the official file"):
        data.setup("test")


def test_sizes_and_statistics() -> None:
    data = CIFAR10DataModule()
    assert (data.num_classes, data.channels, data.image_size) == (10, 3, (32, 32))
    assert data.statistics.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=5e-5)
    assert data.statistics.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=5e-5)
