"""Images and labels that a CSV file names: single labels, several of them, splits, and every kind of bad file."""

from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import ImageFolderDataModule
from foundation.errors import UserError
from tests.datamodules.support import save_image

NAMES = [f"{i}.png" for i in range(12)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        save_image(tmp_path / "images" / name, seed=number)
    return tmp_path / "images"


def table(root: Path, *lines: str) -> str:
    file = root.parent / "labels.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(file)


def single(root: Path, header: str = "path,label", extension: bool = True) -> str:
    names = [name if extension else name.removesuffix(".png") for name in NAMES]
    return table(root, header, *(f"{name},{'cat' if i % 3 else 'dog'}" for i, name in enumerate(names)))


def opened(root: Path, labels: str, **options: Any) -> ImageFolderDataModule:
    data = ImageFolderDataModule(str(root), image_size=8, batch_size=2, val_share=0.3, labels=labels, **options)
    data.prepare_data()
    for stage in ("fit", "test"):
        data.setup(stage)
    return data


def labels_by_name(data: ImageFolderDataModule) -> dict[str, Any]:
    found = {}
    for part in ("train", "val", "test"):
        dataset = getattr(data, f"{part}_set")
        for row in dataset.rows.tolist():
            found[data.path_of(part, row).name] = dataset.images.targets[row].tolist()
    return found


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("path,label", {}),
        ("filename,class", {}),
        ("image_id,Target", {}),
        ("x,y", {"columns": ["x", "y"]}),
    ],
)
@pytest.mark.parametrize("extension", [True, False])
def test_one_label(header: str, options: dict[str, Any], extension: bool, root: Path) -> None:
    data = opened(root, single(root, header, extension), **options)
    assert data.class_names == ["cat", "dog"]
    assert labels_by_name(data) == {name: int(i % 3 == 0) for i, name in enumerate(NAMES)}
    assert torch.equal(data.training_images().targets.unique(), torch.tensor([0, 1]))


def test_several_labels_in_a_cell(root: Path) -> None:
    for mark in ("|", ";", ",", " "):
        cells = ["", "cat", f"cat{mark}dog", f"dog{mark}eel"] * 3
        file = table(root, "path,tags", *(f'{name},"{cell}"' for name, cell in zip(NAMES, cells, strict=True)))
        data = opened(root, file, several_labels=True)
        assert data.class_names == ["cat", "dog", "eel"]
        each = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1]] * 3
        assert labels_by_name(data) == dict(zip(NAMES, each, strict=True))
        assert data.train_set is not None
        assert data.train_set.images.targets.dtype == torch.float32


def test_a_column_for_each_label(root: Path) -> None:
    file = table(root, "image_id,rust,scab", *(f"{name},{i % 2},{int(i > 5)}" for i, name in enumerate(NAMES)))
    data = opened(root, file, several_labels=True)
    assert data.class_names == ["rust", "scab"]
    assert labels_by_name(data) == {name: [i % 2, int(i > 5)] for i, name in enumerate(NAMES)}


def test_one_marked_column_is_one_class(root: Path) -> None:
    file = table(root, "image_id,rust,scab", *(f"{name},{i % 2},{1 - i % 2}" for i, name in enumerate(NAMES)))
    assert labels_by_name(opened(root, file)) == {name: 1 - i % 2 for i, name in enumerate(NAMES)}


def test_a_row_for_each_label(root: Path) -> None:
    rows = [f"{name},{label}" for i, name in enumerate(NAMES) for label in (["cat", "dog"] if i % 2 else ["cat"])]
    data = opened(root, table(root, "path,label", *rows), several_labels=True)
    assert labels_by_name(data) == {name: [1, i % 2] for i, name in enumerate(NAMES)}


def test_a_column_of_splits(root: Path) -> None:
    splits = ["train"] * 6 + ["valid"] * 2 + ["Test"] * 4
    file = table(root, "path,label,split", *(f"{name},{i % 2},{splits[i]}" for i, name in enumerate(NAMES)))
    data = opened(root, file)
    assert data.class_names == ["0", "1"]
    sizes = [len(part) for part in (data.train_set, data.val_set, data.test_set)]  # type: ignore[arg-type]
    assert sizes == [6, 2, 4]
    assert len(data.training_images().targets) == 8


@pytest.mark.parametrize(("split", "missing"), [("test", "training"), ("val", "training"), ("train", "the test")])
def test_a_split_that_the_column_does_not_have(split: str, missing: str, root: Path) -> None:
    file = table(root, "path,label,split", *(f"{name},{i % 2},{split}" for i, name in enumerate(NAMES)))
    with pytest.raises(UserError, match=rf"labels\.csv says of no image that it is for {missing}\."):
        opened(root, file)


def test_folders_beside_the_named_images_mean_nothing(root: Path) -> None:
    """Two folders of a split are a mistake only where the folders are the labels."""
    for name in ("val", "valid"):
        save_image(root / name / "cat" / "0.png")
    assert len(labels_by_name(opened(root, single(root)))) == 12


def test_another_label_decodes_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root, single(root))
    monkeypatch.setattr("datamodules.folder.building.decode_all", None)
    file = single(root)
    Path(file).write_text(Path(file).read_text().replace("0.png,dog", "0.png,cat"))
    assert labels_by_name(opened(root, file))["0.png"] == 0


def test_another_list_of_images_is_noticed(root: Path) -> None:
    opened(root, single(root))
    save_image(root / "more.png", seed=99)
    lines = Path(single(root)).read_text().splitlines()
    assert len(labels_by_name(opened(root, table(root, *lines, "more.png,cat")))) == 13
    assert len(labels_by_name(opened(root, table(root, *lines[:-2])))) == 10


def test_missing_images_are_passed_over_and_listed(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = single(root)
    (root / "5.png").unlink()
    with pytest.raises(UserError, match=r"1 of 12 images of data.labels are not in .*images: 5\.png\. Did you mean"):
        opened(root, file)
    with caplog.at_level("INFO"):
        assert len(labels_by_name(opened(root, file, on_corrupt="skip"))) == 11
    assert "Skipped 1 file of" in caplog.text
    assert "missing (1)" in caplog.text
    with pytest.raises(UserError, match="1 of 12 images"):
        opened(root, file)


ROWS = ["0.png,cat", "1.png,dog"]


@pytest.mark.parametrize(
    ("lines", "options", "message"),
    [
        (["path,label"], {}, "has no rows"),
        (["a,b", *ROWS], {}, r"has no column of paths that is known by its name, it has a, b: give the columns, first"),
        (["path", "0.png"], {}, "has no column of labels"),
        (["path,label", *ROWS], {"columns": ["path", "lable"]}, "has no column 'lable'; its columns are path, label"),
        (["path,label", *ROWS], {"columns": ["path"]}, "needs a column of labels; its columns are path, label"),
        (["path,label", *ROWS, "0.png,cat"], {}, r"has 0\.png twice, in lines 2 and 4: remove one"),
        (["path,label", *ROWS, "2.png,"], {}, "line 4: no label; allowed with --data.several_labels true"),
        (["path,label", *ROWS, "2.png"], {}, "line 4: 1 cells, the header has 2"),
        (["path,label", *ROWS, ",cat"], {}, "line 4: column 'path' is empty"),
        (["path,label,label", "0.png,cat,dog"], {}, "two columns of the same name"),
        (["path,a,b", "0.png,1,2"], {}, "line 2: '2' in column 'b'; columns of several labels hold 0 or 1"),
        (["path,a,b", "0.png,1,1"], {}, "line 2: 2 labels, a, b; allowed with --data.several_labels true"),
        (["path,label,split", "0.png,a,holdout"], {}, "line 2: the split is 'holdout'; expected train, val or test"),
        (["path,label", "0.png,cat", "1.png,cat"], {}, "has 1 label in column 'label': expected two or more"),
    ],
)
def test_bad_tables(lines: list[str], options: dict[str, Any], message: str, root: Path) -> None:
    with pytest.raises(UserError, match=message):
        opened(root, table(root, *lines), **options)
    assert not (root / ".descent_cache").exists()


def test_bad_arguments(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.labels: .*none\.csv does not exist"):
        opened(root, str(root / "none.csv"))
    with pytest.raises(UserError, match="is no CSV file in UTF-8"):
        opened(root, str(root / "0.png"))
    with pytest.raises(FileNotFoundError, match=r"data\.root: there is no folder .*nowhere; it holds the images that"):
        opened(root.parent / "nowhere", single(root))
    with pytest.raises(ValueError, match="give labels too"):
        ImageFolderDataModule(str(root), several_labels=True)
