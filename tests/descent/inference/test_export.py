"""`descent export`: the file gives the checkpoint's probabilities for any batch size, or it is not written."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cli
from datamodules.folder.decoding import ImageFormat, decode
from descent.inference.export import formats
from descent.inference.export.exported_classifier import ExportedClassifier, trace
from descent.inference.export.parity import compare_with_checkpoint, synthetic_images
from descent.inference.loading import load_trained_network
from descent.inference.predictor import Predictor
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, MultilabelClassifier
from lightning_modules.losses import ProbabilityBCELoss
from lightning_modules.networks import SmallCNN
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun


def expected(colours: TrainedRun, pixels: Tensor) -> Tensor:
    """Compute the checkpoint's probabilities in float32 with the run's own normalisation and Lightning's module."""
    trained = load_trained_network(str(colours.run), ["--trainer.precision=32-true"])
    images, _ = trained.data.prepare_batch((pixels.permute(0, 3, 1, 2), pixels, pixels), training=False)  # type: ignore[attr-defined]
    with torch.no_grad():
        return trained.module(images).softmax(1)


def refuse_a_file_that_differs(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Predictor.forward_pixels
    monkeypatch.setattr(Predictor, "forward_pixels", lambda self, pixels: real(self, pixels) * 1.01)
    Path("m").write_text("the old one")
    line = refused([*words, "--out", "m"], capsys)
    assert re.search(r"differs from the checkpoint by 0\.\d+ in a probability \(at most 0\.0001 is accepted\)", line)
    assert Path("m").read_text() == "the old one"
    assert [file.name for file in Path().iterdir() if file.name.startswith("m")] == ["m"], "part of a file is left"


def test_onnx(colours: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    onnx, onnxruntime = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    words = ["export", "--ckpt_path", str(colours.run), "--to", "onnx"]
    parity = cli.main([*words, "--images", str(colours.images / "test")])
    assert "opset 18" in capsys.readouterr().out
    assert parity.images == 36 + 32
    assert parity.changed == 0
    file = colours.run / "model.onnx"
    model = onnx.load(file)
    assert [(one.domain, one.version) for one in model.opset_import if not one.domain] == [("", 18)]
    session = onnxruntime.InferenceSession(str(file))
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["class_names"]) == ["blue", "green", "red"]
    assert (about["task"], about["mode"], about["resize"], about["height"]) == ("classes", "RGB", "crop", "16")
    assert [(one.name, one.type, one.shape) for one in session.get_inputs()] == [
        ("images", "tensor(uint8)", ["batch", 16, 16, 3])
    ]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("probabilities", ["batch", 3])]
    assert (about["layout"], about["white"], about["dtype"], about["interpolation"]) == (
        "NHWC", "255", "float32", "bilinear",
    )  # fmt: skip
    assert b"site-packages" not in file.read_bytes(), "paths of this machine are in the file"
    form = ImageFormat(16, 16, "RGB", "crop")
    pixels = np.stack([decode(path, form) for path in sorted((colours.images / "test").rglob("*.png"))])
    for count in (1, 5, 36):
        found = session.run(None, {"images": pixels[:count]})[0]
        np.testing.assert_allclose(found, expected(colours, torch.from_numpy(pixels[:count])), atol=1e-6)
    made = file.read_bytes()
    monkeypatch.setattr(formats, "onnx_bytes", lambda *given: made)
    refuse_a_file_that_differs(words, monkeypatch, capsys)


def test_torch(colours: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "--ckpt_path", str(colours.run), "--to", "torch"]
    cli.main([*words, "--out", "some/where.pt2"])
    said = capsys.readouterr().out
    assert "written     some/where.pt2 (torch.export, " in said
    assert "images: uint8 (batch, 16, 16, 3), RGB, 0 to 255" in said
    assert "compared    with the checkpoint on 32 images: largest difference of a probability 0" in said
    found = {"descent.json": ""}
    model = torch.export.load("some/where.pt2", extra_files=found).module()
    assert json.loads(json.loads(found["descent.json"])["class_names"]) == ["blue", "green", "red"]
    for pixels in synthetic_images(ImageFormat(16, 16, "RGB", "crop"), seed=3):
        np.testing.assert_allclose(model(pixels).detach(), expected(colours, pixels), atol=1e-6)
    refuse_a_file_that_differs(words, monkeypatch, capsys)


@pytest.mark.parametrize("kind", ["one logit", "two logits", "probabilities", "labels"])
def test_other_tasks(kind: str) -> None:
    torch.manual_seed(0)
    network = SmallCNN(num_classes={"one logit": 1, "two logits": 2, "probabilities": 1}.get(kind, 3), width=2)
    module: Any = BinaryClassifier(network, torch.optim.SGD, ProbabilityBCELoss() if kind == "probabilities" else None)
    if kind == "labels":
        module = MultilabelClassifier(network, torch.optim.SGD, num_labels=3)
    model = ExportedClassifier(module, (0.4, 0.5, 0.6), (0.2, 0.25, 0.3), white=16)
    first, *others = synthetic_images(ImageFormat(16, 16, "RGB", "crop"))
    run = trace(model, torch.cat([first, first])).module()
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    for pixels in (first, *others):
        values = (pixels.int() * 16 + 127) // 255  # as in data with 16 levels
        with torch.no_grad():
            output = network.eval()(((values / 255 - mean) / std).permute(0, 3, 1, 2))
        if kind == "labels":
            wanted = output.sigmoid()
        elif kind == "two logits":
            wanted = output.softmax(1)
        else:
            wanted = torch.cat([1 - output.sigmoid(), output.sigmoid()], dim=1)
        np.testing.assert_allclose(run(pixels).detach(), wanted, atol=1e-5)


def test_a_file_of_another_shape_is_refused() -> None:
    module = MultilabelClassifier(nn.Linear(2, 3), torch.optim.SGD, num_labels=3)
    predictor: Any = SimpleNamespace(forward_pixels=lambda pixels: torch.zeros(len(pixels), 3))
    with pytest.raises(UserError, match=r"returns shape \(2, 1\) for 2 images, the checkpoint \(2, 3\)"):
        compare_with_checkpoint(lambda pixels: np.zeros((2, 1), np.float32), predictor, module, [torch.zeros(2, 4)])


class _ValueDependent(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((2, 3))
        return self.layer(means if means.sum() > 0 else -means)


def test_control_flow_that_depends_on_values() -> None:
    from lightning_modules import ImageClassifier

    model = ExportedClassifier(ImageClassifier(_ValueDependent(2), torch.optim.SGD), (0.5,) * 3, (0.2,) * 3)
    with pytest.raises(UserError, match=r"torch\.export cannot trace _ValueDependent: .*cannot be exported"):
        trace(model, torch.zeros(2, 8, 8, 3, dtype=torch.uint8))


def test_missing_arguments_and_packages(
    colours: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def line(*words: str) -> str:
        return refused(["export", "--ckpt_path", str(colours.run), *words], capsys)

    assert "--to must be onnx or torch, got nothing" in line()
    assert "--to must be onnx or torch, got tflite" in line("--to", "tflite")
    assert "--out . is a folder; give a file, e.g. ./model.pt2" in line("--to", "torch", "--out", ".")
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else name)
    assert "needs onnxscript, not installed here: pip install onnxscript." in line("--to", "onnx")
