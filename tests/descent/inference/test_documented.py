"""Run the README's four commands and those of the guides to a trained network, as written, on a few small images."""

import csv
import json
import re
import shlex
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cli
from datamodules.folder.decoding import ImageFormat, decode
from tests.descent.inference.support import image

ROOT = Path(__file__).parents[3]
GUIDE = "".join((ROOT / "docs" / name).read_text() for name in ("using_a_trained_network.md", "export.md"))
README = (ROOT / "README.md").read_text()
NEIGHBOURS, SERVER, IN_TORCH = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
SHORT = ["--trainer.max_epochs=1", "--model.network.widths=[2,4,8]", "--data.batch_size=8", "--trainer.accelerator=cpu"]


def commands(text: str) -> list[str]:
    return re.findall(r"^    descent (.*)$", text, re.MULTILINE)


def test_the_documented_commands_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test, because pytest-xdist would train a fixture's run in each of its processes."""
    for number, name in enumerate(("cat", "dog")):
        for i in range(20):
            image(Path("images", name, f"{i}.png"), number, i)
        image(Path("labelled", name, "1.jpg"), number, 100)
    image(Path("new_images", "a.png"), 0, 200)
    part = README.partition("## Your own images, in four commands")[2].partition("\n## ")[0]
    assert [command.split()[0] for command in commands(part)] == ["fit", "evaluate", "predict", "export"]
    for command in commands(part):
        cli.main([*shlex.split(command), *(SHORT if command.startswith("fit") else [])])
    _check_the_files_of_the_four_commands(Path("runs/pictures/0"))
    _run_the_commands_of_the_guide(commands(part))
    _query_the_server()


def _check_the_files_of_the_four_commands(run: Path) -> None:
    found = json.loads((run / "evaluation" / "evaluation.json").read_text())
    assert found["samples"] == 7, "about a fifth of forty"
    assert found["class_names"] == ["cat", "dog"]
    for page in ("evaluation/evaluation.html", "predictions/predictions.html"):
        assert (run / page).read_text().startswith("<!doctype html>")
    assert (run / "predictions" / "predictions.csv").read_text().count("\n") == 2
    onnxruntime = pytest.importorskip("onnxruntime")
    assert onnxruntime.InferenceSession(str(run / "model.onnx")).get_inputs()[0].name == "images"


def _run_the_commands_of_the_guide(done: list[str]) -> None:
    others = [command for command in commands(GUIDE) if command not in done]
    assert len(others) == 3
    for command in others:
        cli.main(shlex.split(command))
    assert json.loads(Path("labelled_evaluation/evaluation.json").read_text())["samples"] == 2
    names: dict[str, Any] = {}
    image(Path("new_images", "b.png"), 1, 201)
    cli.main(shlex.split(next(command for command in commands(GUIDE) if command.startswith("embed"))))
    exec(NEIGHBOURS, names)
    assert names["neighbours"].tolist() == [[1], [0]]
    exec(IN_TORCH, names)
    assert names["names"] == ["cat", "dog"]
    assert tuple(names["probabilities"].shape) == (3, 2)


def _query_the_server() -> None:
    files = odd_images(Path("odd"))
    words = ["--images", "labelled", *map(str, files), "--out", "served", "--trainer.precision", "32-true"]
    cli.main(["predict", "--ckpt_path", "runs/pictures", *words, "--all_probabilities"])
    with Path("served/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 + len(files)
    with served() as address:
        for row in rows:
            with urllib.request.urlopen(address, data=Path(row["path"]).read_bytes(), timeout=60) as reply:
                probabilities = json.loads(reply.read())
            assert probabilities == {
                name: pytest.approx(float(row[f"probability_of_{name}"]), abs=2e-6) for name in ("cat", "dog")
            }, row["path"]


def odd_images(folder: Path) -> list[Path]:
    """Save images of many kinds: transparent, 16 bits, turned, large, CMYK, palette, grey, of other shapes."""
    folder.mkdir()
    with Image.open(image(folder / "plain.png", 0, 7)) as opened:
        plain = opened.copy()
    large = plain.resize((901, 403))
    alpha = plain.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(plain.size))
    palette = plain.quantize(8)
    palette.info["transparency"] = 3
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = np.linspace(0, 65535, 30 * 20).reshape(30, 20).astype(np.uint16)
    saved: list[tuple[str, Image.Image, dict[str, Any]]] = [
        ("alpha.png", alpha, {}), ("grey_alpha.png", alpha.convert("LA"), {}), ("palette.png", palette, {}),
        ("turned.jpg", large, {"exif": turned}), ("large.jpg", large, {}), ("cmyk.jpg", plain.convert("CMYK"), {}),
        ("deep.png", Image.fromarray(deep), {}), ("deep.tif", Image.fromarray(deep), {}),
        ("grey.png", plain.convert("L"), {}), ("bits.png", plain.convert("1"), {}), ("wide.png", large, {}),
        ("tiny.png", plain.resize((1, 2)), {}), ("thin.png", plain.resize((2, 300)), {}),
        ("flat.png", plain.resize((2000, 5)), {}), ("twelve.png", Image.fromarray(deep // 16), {}), ("animated.gif", plain, {"save_all": True, "append_images": [alpha]}),
    ]  # fmt: skip
    for name, made, options in saved:
        made.save(folder / name, **options)
    return [folder / "plain.png", *(folder / name for name, _, _ in saved)]


FORMS: list[tuple[Any, Any, Any]] = [
    ("RGB", "crop", "bilinear"), ("RGB", "crop", "bicubic"), ("L", "squash", "bilinear"), ("L", "crop", "bilinear"),
    ("RGB", "letterbox", "bicubic"), ("L", "letterbox", "bilinear"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "resize", "interpolation"), FORMS)
def test_the_server_prepares_images_as_predict_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: Any, resize: Any, interpolation: Any
) -> None:
    form = ImageFormat(32, 24, mode, resize, interpolation)
    about = {"class_names": "[]", "width": "24", "height": "32", "mode": mode, "resize": resize}
    about |= {"interpolation": interpolation, "grey_bits": json.dumps(form.grey_bits)}
    session = SimpleNamespace(get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=about))
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(InferenceSession=lambda file: session))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "argv", ["serve.py", "model.onnx"])
    names: dict[str, Any] = {}
    exec(SERVER.partition("class Classify")[0], names)
    for file in odd_images(tmp_path / "odd"):
        pixels = np.asarray(names["resized"](names["upright"](file.read_bytes()))).reshape(form.shape)
        np.testing.assert_array_equal(pixels, decode(file, form), err_msg=file.name)


@contextmanager
def served() -> Iterator[str]:
    """Run the script in a process that can import neither torch nor Descent."""
    Path("serve.py").write_text("import sys\nsys.modules['torch'] = sys.modules['cli'] = None\n" + SERVER)
    command = [sys.executable, "serve.py", "runs/pictures/0/model.onnx", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        finally:
            server.kill()


def test_the_script_is_short() -> None:
    assert sum(bool(line.strip()) for line in SERVER.splitlines()) <= 60
