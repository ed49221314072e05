"""Run the README's four commands and those of docs/using_a_trained_network.md, as written, on a few small images."""

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
from typing import Any

import pytest

import cli
from tests.descent.inference.support import image

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "using_a_trained_network.md").read_text()
README = (ROOT / "README.md").read_text()
SERVER, IN_TORCH = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
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
    assert found["samples"] == 8, "a fifth of forty"
    assert found["class_names"] == ["cat", "dog"]
    for page in ("evaluation/evaluation.html", "predictions/predictions.html"):
        assert (run / page).read_text().startswith("<!doctype html>")
    assert (run / "predictions" / "predictions.csv").read_text().count("\n") == 2
    onnxruntime = pytest.importorskip("onnxruntime")
    assert onnxruntime.InferenceSession(str(run / "model.onnx")).get_inputs()[0].name == "images"


def _run_the_commands_of_the_guide(done: list[str]) -> None:
    others = [command for command in commands(GUIDE) if command not in done]
    assert len(others) == 2
    for command in others:
        cli.main(shlex.split(command))
    assert json.loads(Path("labelled_evaluation/evaluation.json").read_text())["samples"] == 2
    names: dict[str, Any] = {}
    exec(IN_TORCH, names)
    assert names["names"] == ["cat", "dog"]
    assert tuple(names["probabilities"].shape) == (3, 2)


def _query_the_server() -> None:
    words = ["--images", "labelled", "images/cat/3.png", "--out", "served", "--trainer.precision", "32-true"]
    cli.main(["predict", "--ckpt_path", "runs/pictures", *words])
    with Path("served/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    with served() as address:
        for row in rows:
            with urllib.request.urlopen(address, data=Path(row["path"]).read_bytes(), timeout=60) as reply:
                probabilities = json.loads(reply.read())
            assert set(probabilities) == {"cat", "dog"}
            assert probabilities[row["class"]] == pytest.approx(float(row["probability"]), abs=1e-4)


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


def test_the_script_has_about_twenty_lines() -> None:
    assert sum(bool(line.strip()) for line in SERVER.splitlines()) <= 24
