"""A run trained on a small folder of images, once per session; each test runs in its own working folder."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import cli
from tests.descent.inference.support import COLOURS, image


@dataclass(frozen=True)
class TrainedRun:
    """The folder of a trained run and that of its images."""

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
    """Three classes of noisy colours, 20 × 24 pixels, and a network that classifies most of them correctly."""
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
