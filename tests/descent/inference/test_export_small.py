"""`descent export` in float16 and int8, in another layout, with a temperature: what is written and what is measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import cli
from datamodules.folder.decoding import ImageFormat, decode
from descent.inference.export import reduced
from descent.inference.export.exported_classifier import ExportedClassifier, ExportForm
from descent.inference.export.image_sets import ImageSet, image_sets
from descent.inference.export.parity import synthetic_images
from descent.inference.export.reduced import write_reduced
from descent.inference.loading import load_trained_network
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier
from lightning_modules.networks import SmallCNN
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.support import image

FORM = ImageFormat(16, 16, "RGB", "crop")


def pixels_of(colours: TrainedRun) -> Tensor:
    """Return the test images in the order of their paths, class by class."""
    return torch.from_numpy(np.stack([decode(path, FORM) for path in sorted((colours.images / "test").rglob("*.png"))]))


def expected(colours: TrainedRun, pixels: Tensor, temperature: float) -> Tensor:
    trained = load_trained_network(str(colours.run), ["--trainer.precision=32-true"])
    images, _ = trained.data.prepare_batch((pixels.permute(0, 3, 1, 2), pixels, pixels), training=False)  # type: ignore[attr-defined]
    with torch.no_grad():
        return (trained.module(images) / temperature).softmax(1)


def test_int8_of_floats_with_a_temperature(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    words = ["export", "--ckpt_path", str(colours.run), "--to", "onnx", "--dtype", "int8", "--input", "nchw_float"]
    found = cli.main([*words, "--temperature", "2", "--images", str(colours.images / "test"), "--out", "some/m.onnx"])
    said = capsys.readouterr().out
    assert "takes       images: float32 (batch, 3, 16, 16), RGB, 0 to 1\n" in said
    assert "calibrated on 18 other images" in said
    model = onnx.load("some/m.onnx")
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in model.graph.node}
    session = onnxruntime.InferenceSession("some/m.onnx")
    assert [(one.type, one.shape) for one in session.get_inputs()] == [("tensor(float)", ["batch", 3, 16, 16])]
    assert [one.shape for one in session.get_outputs()] == [["batch", 3]]
    about = session.get_modelmeta().custom_metadata_map
    assert (about["layout"], about["white"], about["dtype"], about["temperature"]) == ("NCHW", "1", "int8", "2.0")
    pixels = pixels_of(colours)
    floats = (pixels.permute(0, 3, 1, 2) / 255).numpy()
    wanted = expected(colours, pixels, 2)
    every = np.concatenate([session.run(None, {"images": floats[i : i + 7]})[0] for i in range(0, 36, 7)])
    np.testing.assert_allclose(every, wanted, atol=0.05)
    targets = np.repeat([0, 1, 2], 12)[1::2]  # every second image is compared
    assert found.accuracy == (every[1::2].argmax(1) == targets).mean()
    assert found.accuracy_float32 == (wanted[1::2].argmax(1).numpy() == targets).mean()
    assert found.max_difference == pytest.approx(abs(every - wanted.numpy())[1::2].max(), abs=1e-5)
    assert found.bytes == Path("some/m.onnx").stat().st_size
    report = json.loads(Path("some/m.onnx.json").read_text())
    assert report == found.summary()
    assert (report["images"], report["calibrated_on"]) == (18, 18)


def test_float16_compared_on_the_run_s_test_images(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    found = cli.main(["export", "--ckpt_path", str(colours.run), "--to", "torch", "--dtype", "float16"])
    file = colours.run / "model.float16.pt2"
    assert file.is_file()
    assert "36 test images" in capsys.readouterr().out
    extra = {"descent.json": ""}
    model = torch.export.load(str(file), extra_files=extra).module()
    assert json.loads(extra["descent.json"])["dtype"] == "float16"
    assert any(each.dtype == torch.float16 for each in model.state_dict().values())
    pixels = pixels_of(colours)
    result = model(pixels)
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result.detach(), expected(colours, pixels, 1), atol=5e-3)
    assert 0 < found.max_difference < 5e-3
    assert found.accuracy == float((result.argmax(1) == torch.arange(3).repeat_interleave(12)).double().mean())


@pytest.mark.parametrize(("white", "temperature"), [(255, 1.0), (16, 3.0)])
def test_both_layouts_give_the_same(white: int, temperature: float) -> None:
    module = ImageClassifier(SmallCNN(3, 3, 2), torch.optim.SGD)
    statistics = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    forms = [ExportForm("torch", layout, "float32", temperature) for layout in ("nhwc_uint8", "nchw_float")]
    models = [ExportedClassifier(module, *statistics, white=white, form=form) for form in forms]
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)  # every value of a byte
    for pixels in (every, *synthetic_images(FORM)):
        with torch.no_grad():
            first, second = (model(form.convert(pixels)) for model, form in zip(models, forms, strict=True))
            normalised = ((pixels.int() * white + 127) // 255 / 255) if white != 255 else pixels / 255
            mean, std = (torch.tensor(each) for each in statistics)
            logits = module.eval()(((normalised - mean) / std).permute(0, 3, 1, 2))
        torch.testing.assert_close(first, second, atol=1e-5, rtol=0)
        torch.testing.assert_close(first, (logits / temperature).softmax(1), atol=1e-5, rtol=0)


def faked(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Tensor]) -> None:
    """Replace the files by fixed probabilities, by dtype."""
    monkeypatch.setattr(reduced, "write_exported", lambda trained, file, *_: file.write_bytes(b"x" * 100))
    monkeypatch.setattr(reduced, "write_form", lambda trained, file, *_: file.write_bytes(b"x" * 60))
    monkeypatch.setattr(
        reduced, "load_exported", lambda file, form: lambda pixels: answers[form.dtype][: len(pixels)].numpy()
    )


def measured(module: Any, targets: Tensor | None, max_drop: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(reduced, "require_classifier", lambda trained: module)
    monkeypatch.setattr(reduced, "image_format", lambda trained: FORM)
    images = ImageSet(torch.zeros(4, 16, 16, 3, dtype=torch.uint8), targets, "test images")
    return write_reduced(None, Path("m"), ExportForm("torch", dtype="float16"), (images, images), max_drop)  # type: ignore[arg-type]


def test_a_file_that_loses_accuracy_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ImageClassifier(nn.Linear(2, 2), torch.optim.SGD)
    right = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    faked(monkeypatch, {"float32": right, "float16": torch.cat([right[:3], right[:1]])})
    Path("m").write_text("the old one")
    with pytest.raises(
        UserError, match=r"accuracy 100\.00% in float32, 75\.00% in float16; another answer for 25\.00%"
    ):
        measured(module, torch.tensor([0, 0, 1, 1]), 0.2, monkeypatch)
    with pytest.raises(
        UserError, match=r"another answer for 25\.00% of 4 test images\. That is more than --max_drop 0\.2"
    ):
        measured(module, None, 0.2, monkeypatch)
    assert Path("m").read_text() == "the old one"
    assert [path.name for path in Path().iterdir()] == ["m"], "part of a file is left"
    found = measured(module, torch.tensor([0, 0, 1, 1]), 0.25, monkeypatch)
    assert (found.accuracy, found.drop, found.changed, found.bytes, found.bytes_float32) == (0.75, 0.25, 0.25, 60, 100)
    assert found.max_difference == pytest.approx(0.6)
    faked(monkeypatch, {"float32": right, "float16": right * torch.nan})
    with pytest.raises(UserError, match="a probability is not finite"):
        measured(module, None, 1, monkeypatch)


def test_answers_by_threshold(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = MultilabelClassifier(nn.Linear(2, 2), torch.optim.SGD, num_labels=2, threshold=0.85)
    binary = BinaryClassifier(nn.Linear(2, 1), torch.optim.SGD, threshold=0.15)
    before = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    after = torch.tensor([[0.8, 0.2], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    faked(monkeypatch, {"float32": before, "float16": after})
    found = measured(labels, torch.tensor([[1, 0], [0, 0], [0, 0], [0, 0]]), 1, monkeypatch)
    assert (found.accuracy_float32, found.accuracy, found.changed) == (1, 7 / 8, 0.25)
    found = measured(binary, torch.tensor([0, 1, 1, 1]), 1, monkeypatch)
    assert (found.accuracy_float32, found.accuracy, found.changed) == (1, 0.75, 0.25)


def test_image_sets(colours: TrainedRun) -> None:
    trained = load_trained_network(str(colours.run), [])
    validation, test = image_sets(trained, [])
    assert (len(validation.pixels), len(test.pixels), test.name) == (17, 36, "test images")
    assert test.targets is not None
    assert torch.equal(test.pixels, pixels_of(colours))
    assert test.some(3).targets is not None
    assert test.some(3).targets.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    given, others = image_sets(trained, [str(colours.images / "test" / "red")])
    assert given.targets is None
    assert torch.equal(torch.stack([given.pixels, others.pixels], 1).flatten(0, 1), test.pixels[24:])
    with pytest.raises(UserError, match="at least 2 images are needed, found 1"):
        image_sets(trained, [str(colours.images / "test" / "red" / "0.png")])
    Path("broken.png").write_bytes(b"x")
    for name in ("red", "bleu"):
        image(Path("typo", name, "0.png"), 0, 0)
    with pytest.raises(UserError, match=r"does not know: bleu \(did you mean blue\?\)"):
        image_sets(trained, ["typo"])
    with pytest.raises(UserError, match="none of 1 files of --images could be decoded"):
        image_sets(trained, ["broken.png"])


def test_options_that_do_not_fit(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "--ckpt_path", str(colours.run), "--to", "torch"]
    for given, said in (
        (["--dtype", "int8"], "--dtype int8 is for --to onnx"),
        (["--dtype", "int4"], "--dtype: invalid choice: 'int4'"),
        (["--input", "nchw"], "--input: invalid choice: 'nchw'"),
        (["--max_drop", "0.1"], "--max_drop is for --dtype float16 and int8"),
        (["--max_drop", "-1", "--dtype", "float16"], "--max_drop must be in [0, 1], got -1"),
        (["--dtype", "float16", "--data.root", "gone"], "the run's own cannot be opened"),
    ):
        assert said in refused([*words, *given], capsys)
