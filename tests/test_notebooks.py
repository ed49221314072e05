"""Notebooks: the cells run with small settings; the committed files match the scripts and hold no paths of a machine."""

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.build import HERE, cells, notebook, scripts, small

NOTEBOOKS = scripts()
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|usr|opt|Users|mnt)/")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(HERE.parent))
    monkeypatch.setenv("DESCENT_ALLOCATOR", "system")


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_the_cells_run(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for kind, text in cells(script):
        if kind == "code":
            exec(compile(small(text), script.name, "exec"), names)
    said = capsys.readouterr().out
    if script.stem.startswith("08"):
        assert re.search(r"(\d+) of \1 tensors are identical", said)
    if script.stem.startswith("07"):
        assert re.search(r"(?i)dead", said)


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda script: script.stem)
def test_the_committed_notebook_matches_its_script(script: Path) -> None:
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(committed)
    assert [cell["source"] for cell in committed["cells"]] == [cell["source"] for cell in notebook(script)["cells"]]
    code = [cell for cell in committed["cells"] if cell["cell_type"] == "code"]
    assert any(cell["outputs"] for cell in code)
    assert not [output for cell in code for output in cell["outputs"] if output["output_type"] == "error"]
    shown = [{**output.get("data", {}), "text": output.get("text", "")} for cell in code for output in cell["outputs"]]
    texts = [str(text) for output in shown for kind, text in output.items() if not kind.startswith("image/")]
    assert not MACHINE_PATH.findall(" ".join(texts))
