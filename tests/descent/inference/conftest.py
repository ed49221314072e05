"""A trained run over a small folder of images, made once; commands run in a folder of their own."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import cli
from tests.descent.inference.support import COLOURS, image


@dataclass(frozen=True)
class TrainedRun:
    """A run and its images."""

    run: Path
    images: Path

    @property
    def checkpoint(self) -> Path:
        return self.run / "checkpoints" / "last.ckpt"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Three classes of noisy colours, 20 × 24 pixels; a network that knows them rather well."""
    root = tmp_path_factory.mktemp("colours")
    for split, count in (("train", 30), ("test", 12)):
        for number, name in enumerate(COLOURS):
            for i in range(count):
                image(root / "images" / split / name / f"{i}.png", number, i + 1000 * (split == "test"))
    words = ["fit", "-c", "configs/quickstart.yaml", "--model.network.width", "4", "--trainer.max_epochs", "6"]
    words += ["--data", "data/image_folder.yaml", "--data.root", str(root / "images"), "--data.batch_size", "20"]
    words += ["--data.image_size", "16", "--data.val_share", "0.3", "--trainer.accelerator", "cpu"]
    cli.main([*words, "--model.optimizer.lr", "0.01", "--trainer.default_root_dir", str(root / "runs")])
    return TrainedRun(root / "runs" / "quickstart" / "0", root / "images")
