"""The pets from small archives in the official format: unpacked, split, masks mapped; errors in one line."""

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import OxfordIIITPet

from cli import main
from datamodules import CropFlip, OxfordPetsDataModule
from foundation.errors import UserError

NAMES = [f"{breed}_{number}" for breed in ("Bengal", "pug") for number in range(1, 16)]
TRAINVAL, TEST = [n for n in NAMES if int(n.split("_")[1]) <= 10], [n for n in NAMES if int(n.split("_")[1]) > 10]


def image(name: str) -> tuple[bytes, bytes]:
    """A grey image of 40 × 20 whose middle is the animal, bright; a border of 2 pixels."""
    trimap = np.full((20, 40), 2, np.uint8)
    trimap[4:16, 8:32], trimap[6:14, 10:30] = 3, 1
    pixels = np.full((20, 40, 3), 60 + 3 * NAMES.index(name), np.uint8)
    pixels[trimap == 1] = 220
    made = []
    for array, kind in ((pixels, "JPEG"), (trimap, "PNG")):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, kind)
        made.append(buffer.getvalue())
    return made[0], made[1]


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with both archives, whose checksums torchvision accepts, and no network."""
    images, annotations = {}, {}
    for name in NAMES:
        images[f"images/{name}.jpg"], annotations[f"annotations/trimaps/{name}.png"] = image(name)
    for part, names in (("trainval", TRAINVAL), ("test", TEST)):
        rows = [f"{name} {1 + name.startswith('pug')} 1 1\n" for name in names]
        annotations[f"annotations/{part}.txt"] = "".join(rows).encode()
    folder = tmp_path / "data" / "oxford-iiit-pet"
    folder.mkdir(parents=True)
    resources = []
    for kind, files in (("images", images), ("annotations", annotations)):
        content = archive(files)
        (folder / f"{kind}.tar.gz").write_bytes(content)
        resources.append((f"http://127.0.0.1:9/{kind}.tar.gz", hashlib.md5(content).hexdigest()))
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", tuple(resources))
    return tmp_path / "data"


def opened(root: Path, stage: str = "fit", **options: Any) -> OxfordPetsDataModule:
    data = OxfordPetsDataModule(root=str(root), size=16, batch_size=4, **options)
    data.prepare_data()
    data.setup(stage)
    return data


def test_unpacks_and_splits_each_breed(root: Path) -> None:
    data = opened(root, val_share=0.2)
    assert data.train_set is not None
    assert data.val_set is not None
    assert (len(data.train_set), len(data.val_set)) == (16, 4)
    assert sorted(data.val_set.rows.tolist())[2] >= 10  # two of each breed
    data.setup("test")
    assert data.test_set is not None
    assert len(data.test_set) == 10
    left = sorted(path.name for path in (root / "oxford-iiit-pet").iterdir())
    assert left == [".descent_cache", "annotations", "annotations.tar.gz", "images", "images.tar.gz"]


@pytest.mark.parametrize(("border", "names"), [("class", 3), ("ignored", 2)])
def test_masks_are_the_resized_trimaps(root: Path, border: Any, names: int) -> None:
    data = opened(root, border=border)
    pixels, masks = data.training_images()
    assert pixels.shape == (20, 16, 16, 3)
    assert len(data.class_names) == data.num_classes == names
    with Image.open(root / "oxford-iiit-pet/annotations/trimaps/pug_3.png") as trimap:
        scaled = np.asarray(trimap.resize((16, 16), Image.Resampling.NEAREST))
    to = {1: 1, 2: 0, 3: 2 if border == "class" else 255}
    expected = torch.from_numpy(np.vectorize(to.get)(scaled))
    assert torch.equal(masks[TRAINVAL.index("pug_3")].long(), expected)
    bright = pixels[..., 0].float()
    assert bright[masks == 1].mean() > bright[masks == 0].mean() + 50  # image and mask are aligned


def test_an_augmentation_moves_image_and_mask(root: Path) -> None:
    data = opened(root, augmentation=CropFlip(padding=2, mode="zero"))
    images, masks = data.prepare_batch(next(iter(data.train_dataloader())), training=True, epoch=1)
    assert images.shape == (4, 3, 16, 16)
    assert masks.dtype == torch.int64
    assert images[:, 0][masks == 1].mean() > images[:, 0][masks == 0].mean()


def test_decodes_once_and_again_after_an_image_changed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = opened(root).training_images()
    assert "decoding 20 images" in capsys.readouterr().out
    assert torch.equal(opened(root).training_images().pixels, first.pixels)
    assert "decoding" not in capsys.readouterr().out
    Image.new("RGB", (50, 50)).save(root / "oxford-iiit-pet/images/pug_3.jpg")
    assert not torch.equal(opened(root).training_images().pixels, first.pixels)


def test_a_missing_image_is_unpacked_again(root: Path) -> None:
    opened(root)
    lost = root / "oxford-iiit-pet/images/pug_3.jpg"
    lost.unlink()
    opened(root)
    assert lost.is_file()


def test_no_network_gives_a_one_line_error(root: Path) -> None:
    (root / "oxford-iiit-pet/images.tar.gz").unlink()
    with pytest.raises(UserError, match=r"are not in .*oxford-iiit-pet and cannot be downloaded \(.*put images"):
        opened(root)


def test_a_wrong_archive_raises(root: Path) -> None:
    (root / "oxford-iiit-pet/images.tar.gz").write_bytes(b"half of it")
    with pytest.raises(UserError, match="cannot be downloaded"):
        opened(root)
    assert not (root / "oxford-iiit-pet/images").exists()


def test_a_damaged_image_is_named(root: Path) -> None:
    data = OxfordPetsDataModule(root=str(root), size=16)
    data.prepare_data()
    (root / "oxford-iiit-pet/images/pug_3.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"pug_3.jpg cannot be read .*: remove it, and the next run"):
        data.setup("fit")


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="size must be ≥ 8, got 7"):
        OxfordPetsDataModule(size=7)
    with pytest.raises(ValueError, match="border must be one of class, ignored; got 'none'"):
        OxfordPetsDataModule(border="none")  # type: ignore[arg-type]


@pytest.mark.parametrize(("config", "more"), [("segmentation", []), ("segmentation_binary", ["--data.border=ignored"])])
def test_trains_from_its_config(
    root: Path, config: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["fit", "-c", f"configs/{config}.yaml", "--data", "configs/data/pets.yaml", "--data.size=16", *more]
    run = main([*words, "--data.batch_size=4", "--trainer.max_epochs=1", "--trainer.limit_train_batches=2"])
    assert run.trainer.global_step == 2
    assert run.trainer.callback_metrics["val/iou"].isfinite()
