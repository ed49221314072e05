"""Folders of labelled images are read as those of the training images are."""

import os
import unicodedata
from pathlib import Path

import pytest

from descent.inference.evaluation.samples.labelled_folder import find_labelled_images
from descent.inference.prediction.image_files import find_images
from foundation.errors import UserError
from tests.datamodules.support import save_image


def test_accents_encoded_in_another_way(tmp_path: Path) -> None:
    names = [unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")]
    for place, name in enumerate(names):
        save_image(tmp_path / name / f"{place}.png")
    save_image(tmp_path / "@eaDir" / "thumbnail.png")
    found = find_labelled_images(tmp_path, [names[0], "dog"])
    assert (found.targets, found.missing_classes) == ([0, 0], ["dog"])


@pytest.mark.parametrize("name", ["valid", "Test"])
def test_the_folder_above_the_classes(name: str, tmp_path: Path) -> None:
    save_image(tmp_path / name / "cat" / "0.png")
    with pytest.raises(UserError, match=f"did you mean --images .*{name}"):
        find_labelled_images(tmp_path, ["cat", "dog"])


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    save_image(tmp_path / "0.png")
    os.mkfifo(tmp_path / "1.png")
    (tmp_path / "2.png").symlink_to(tmp_path / "gone.png")
    (tmp_path / "3.png").symlink_to(tmp_path / "3.png")
    names = [Path(path).name for path in find_images([str(tmp_path)]).paths]
    assert names == ["0.png", "2.png", "3.png"]
