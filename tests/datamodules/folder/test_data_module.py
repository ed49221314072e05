"""Image folders: data sets, split, statistics, changes that are noticed, and every kind of bad input."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.folder.decoding import decode
from datamodules.folder.split_cache import FolderCache
from datamodules.memory.normalisation import pixel_statistics
from foundation.errors import UserError
from tests.datamodules.folder.folder_case import FORM, decoded, module
from tests.datamodules.support import Recorder, image_folder, quiet_trainer, save_image


def test_images_and_classes(root: Path) -> None:
    data = module(root)
    assert (data.class_names, data.num_classes, data.channels, data.image_size) == (["cat", "dog"], 2, 3, (8, 8))
    data.setup("fit")
    assert data.train_set is not None
    images = data.train_set.images
    assert torch.equal(images.pixels, decoded(root, "train"))
    assert images.targets.tolist() == [0] * 5 + [1] * 5
    assert data.val_set is not None
    assert torch.bincount(images.targets[data.val_set.rows], minlength=2).min() >= 1
    assert data.statistics == pixel_statistics(decoded(root, "train"))


def test_validation_folder_is_used(tmp_path: Path) -> None:
    root = image_folder(tmp_path, val=2)
    data = module(root)
    data.setup("fit")
    assert data.train_set is not None
    assert data.val_set is not None
    assert (len(data.train_set), len(data.val_set)) == (10, 4)
    assert torch.equal(data.val_set.images.pixels, decoded(root, "val"))


def test_fit_and_test_in_a_trainer(root: Path) -> None:
    class Large(Recorder):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(192, 2)

    data, model = module(root, drop_last=False), Large()
    trainer = quiet_trainer(max_epochs=1, num_sanity_val_steps=0)
    trainer.fit(model, data)
    assert not list((root / ".descent_cache").glob("test-8x8*"))
    trainer.test(model, data)
    assert sum(len(targets) for stage, _, _, targets in model.seen if stage == "test") == 6
    assert list((root / ".descent_cache").glob("test-8x8*"))


def test_a_second_opening_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(root).setup("fit")
    monkeypatch.setattr("datamodules.folder.building.decode_all", None)
    data = module(root)
    data.setup("fit")
    assert data.train_set is not None
    assert torch.equal(data.train_set.images.pixels, decoded(root, "train"))


def test_other_settings_have_caches_of_their_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({}, {"image_size": (6, 4)}, {"mode": "L"}, {"resize": "squash"}):
        module(root, **settings).setup("fit")
    monkeypatch.setattr("datamodules.folder.building.decode_all", None)
    data = module(root, image_size=(6, 4))
    data.setup("fit")
    assert data.train_set is not None
    assert data.train_set.images.pixels.shape == (10, 6, 4, 3)
    module(root).setup("fit")


def overwrite_in_place(root: Path) -> None:
    file = root / "train" / "cat" / "0.png"
    before = file.stat()
    save_image(file, seed=77)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replace(root: Path) -> None:
    save_image(root / "new.png", seed=77)
    (root / "new.png").replace(root / "train" / "cat" / "0.png")


def add(root: Path) -> None:
    save_image(root / "train" / "cat" / "9.png", seed=77)


def remove(root: Path) -> None:
    (root / "train" / "dog" / "0.png").unlink()


def rename(root: Path) -> None:
    (root / "train" / "dog" / "0.png").rename(root / "train" / "dog" / "9.png")


def add_below(root: Path) -> None:
    save_image(root / "train" / "dog" / "more" / "of" / "them.png", seed=77)


CHANGES = [overwrite_in_place, replace, add, remove, rename, add_below]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("wait", [10.0, 0.0])
def test_a_change_is_noticed(change: Any, wait: float, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With many images, opening does not wait for the comparison; then the loader notices the change."""
    module(root).setup("fit")
    change(root)
    monkeypatch.setattr(FolderCache, "comparison_wait", wait)
    data = module(root)
    data.setup("fit")
    data.train_dataloader()
    assert data.train_set is not None
    files = sorted(str(file) for file in (root / "train").glob("*/**/*.png"))
    expected = torch.stack([torch.tensor(decode(Path(file), FORM)) for file in files])
    assert torch.equal(data.train_set.images.pixels, expected)
    assert len(list((root / ".descent_cache").glob("train*.u8"))) == 1
    assert data.data_statistics() == pixel_statistics(expected)


def test_a_change_between_two_fits_is_noticed(root: Path) -> None:
    data = module(root)
    data.setup("fit")
    add(root)
    data.setup("fit")
    assert data.train_set is not None
    assert len(data.train_set.images.targets) == 11


def test_resumed_position_survives_a_change_that_is_noticed_late(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(root).setup("fit")
    overwrite_in_place(root)
    monkeypatch.setattr(FolderCache, "comparison_wait", 0.0)
    data = module(root)
    state = data.state_dict()
    data.setup("fit")
    data.load_state_dict(state | {"position": {"epoch": 4, "batches": 2, "batch_size": 2, "processes": 1}})
    assert data.train_dataloader().sampler.resume == (4, 4)  # type: ignore[attr-defined]


def test_a_touched_folder_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module(root).setup("fit")
    os.utime(root / "train" / "cat")
    monkeypatch.setattr("datamodules.folder.building.decode_all", None)
    module(root).setup("fit")


def test_other_files_are_ignored_and_listed(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    (root / "train" / "cat" / "notes.txt").write_text("about cats")
    (root / "train" / "cat" / ".DS_Store").write_text("hidden")
    module(root).setup("fit")
    data = module(root)
    with caplog.at_level("INFO"):
        data.prepare_data()
    listed = next((root / ".descent_cache").glob("train*-skipped.csv"))
    assert listed.read_text().splitlines() == ["path,reason", "cat/notes.txt,no file extension of an image"]
    assert f"Skipped 1 file of {root / 'train'}: no file extension of an image (1). Listed in {listed}" in caplog.text


def damage(root: Path, count: int = 1) -> None:
    for i in range(count):
        (root / "train" / "cat" / f"{i}.png").write_bytes(b"")


def test_corrupt_image_stops_with_its_path_in_the_message(root: Path) -> None:
    damage(root)
    with pytest.raises(UserError, match=r"1 corrupt image in .*train: .*cat/0\.png: cannot identify"):
        module(root).setup("fit")
    assert list((root / ".descent_cache").iterdir()) == []


def test_many_corrupt_images_are_counted(tmp_path: Path) -> None:
    root = image_folder(tmp_path, train=9)
    damage(root, 7)
    with pytest.raises(UserError, match=r"7 corrupt images .*4\.png.*; and 2 more\. .*on_corrupt=skip"):
        module(root).setup("fit")


def test_corrupt_images_are_skipped_and_listed(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = decoded(root, "train")
    damage(root, 2)
    module(root, on_corrupt="skip", val_share=0.3).setup("fit")
    data = module(root, on_corrupt="skip", val_share=0.3)
    with caplog.at_level("INFO"):
        data.prepare_data()
    assert "Skipped 2 files" in caplog.text
    assert "corrupt (2)" in caplog.text
    listed = next((root / ".descent_cache").glob("train*-skipped.csv")).read_text().splitlines()
    assert listed[1] == "cat/0.png,cannot identify an image: the file is empty"
    data.setup("fit")
    assert data.train_set is not None
    assert torch.equal(data.train_set.images.pixels, whole[2:])
    assert data.train_set.images.targets.tolist() == [0] * 3 + [1] * 5
    assert data.statistics == pixel_statistics(whole[2:])
    with pytest.raises(UserError, match="2 corrupt images"):
        module(root).setup("fit")


def test_a_class_with_only_corrupt_images(root: Path) -> None:
    damage(root, 5)
    with pytest.raises(UserError, match=r"all 5 images in .*cat are corrupt"):
        module(root, on_corrupt="skip").setup("fit")
    assert list((root / ".descent_cache").iterdir()) == []
