"""What the tests of image folders share."""

from pathlib import Path

import pytest

from tests.datamodules.support import image_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of images with `train` and `test`."""
    return image_folder(tmp_path / "images")
