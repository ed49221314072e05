"""Build the notebooks from the scripts in this folder: python -m notebooks.build [--text] [--data FOLDER] [NAME …].

Scripts are in the percent format: cells begin with `# %%` or `# %% [markdown]`. When the tests run the cells, the value
after `# small:` replaces the value in its line. A magic command at the start of a cell is written as a comment. The
build adds the cell that installs Descent where it is missing, and links to the neighbours.

`--text` replaces the text around the outputs without executing the code, which must not have changed. `--data` gives
the folder that the notebooks find as `data` beside them (see 02).
"""

import argparse
import base64
import io
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

HERE = Path(__file__).resolve().parent
SMALL = re.compile(r"= [^#\n]+  # small: (.*)")
INSTALL = """# Where Descent is missing, as in a fresh clone, this cell installs it. Otherwise it does nothing.
from importlib.util import find_spec

if find_spec("lightning_modules") is None:
    %pip install --quiet .."""
COLOURS = 256  # of a figure in an output: a third of the bytes of a PNG in full colour


def scripts() -> list[Path]:
    """Return the notebooks' scripts in order."""
    return sorted(HERE.glob("[0-9]*.py"))


def cells(script: Path) -> list[tuple[str, str]]:
    """Return kind (`code` or `markdown`) and text of each cell."""
    found = []
    for part in re.split(r"^# %%", script.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        first, _, body = part.partition("\n")
        if "markdown" in first:
            found.append(
                ("markdown", "\n".join(line.removeprefix("#").removeprefix(" ") for line in body.strip().split("\n")))
            )
        else:
            found.append(("code", re.sub(r"\A# (%\w+ .*\n)", r"\1\n", body.strip())))
    return found


def small(code: str) -> str:
    """Return the code of a cell with the small settings and without its magic command."""
    return SMALL.sub(r"= \1", re.sub(r"\A%.*\n", "", code))


def title(script: Path) -> str:
    """Return the heading of a notebook."""
    return cells(script)[0][1].partition("\n")[0].removeprefix("# ")


def neighbours(script: Path) -> str:
    """Return links to the notebooks before and after this one."""
    everything = scripts()
    place = everything.index(script)
    named = {"Previous": everything[place - 1 : place], "Next": everything[place + 1 : place + 2]}
    links = [f"{word}: [{title(found[0])}]({found[0].stem}.ipynb)" for word, found in named.items() if found]
    return " · ".join(links)


def notebook(script: Path) -> Any:
    """Make the notebook of a script without executing it; the ids of its cells are the same in every build."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    first, *rest = cells(script)
    made = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number, (kind, text) in enumerate([first, ("code", INSTALL), *rest, ("markdown", neighbours(script))]):
        cell = new_code_cell(re.sub(r"  # small: .*", "", text)) if kind == "code" else new_markdown_cell(text)
        cell["id"] = f"cell-{number}"
        made["cells"].append(cell)
    return made


def executed(made: Any, data: Path | None = None) -> Any:
    """Execute a notebook in a temporary folder and remove standard error and cell timings."""
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    with TemporaryDirectory() as folder:
        if data is not None:
            Path(folder, "data").symlink_to(data.resolve(), target_is_directory=True)
        NotebookClient(made, timeout=1200, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
        made["metadata"].pop("language_info", None)  # the version of the Python that built it
        for cell in made["cells"]:
            cell["metadata"] = {}
            if cell["cell_type"] == "code":
                cell["outputs"] = clean(cell["outputs"], folder)
    return made


def clean(outputs: list[Any], folder: str) -> list[Any]:
    """Remove standard error, progress bars and absolute paths, join pieces of standard output, make figures smaller."""
    kept: list[Any] = []
    for output in outputs:
        is_a_bar = output["output_type"] == "display_data" and "image/png" not in output["data"]
        if output.get("name") == "stderr" or is_a_bar:
            continue
        if "image/png" in output.get("data", {}):
            output["data"]["image/png"] = with_a_palette(output["data"]["image/png"])
        if "text" in output:
            output["text"] = output["text"].replace(f"{folder}/", "").replace(f"{HERE.parent}/", "")
        if kept and output.get("name") == "stdout" == kept[-1].get("name"):
            kept[-1]["text"] += output["text"]
        else:
            kept.append(output)
    return kept


def with_a_palette(png: str) -> str:
    """Return a PNG in base64 with at most 256 colours."""
    made = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(png))) as figure:
        figure.convert("RGB").quantize(COLOURS, kmeans=2).save(made, "PNG", optimize=True)
    return base64.b64encode(made.getvalue()).decode()


def with_outputs_of(made: Any, earlier: Any) -> Any:
    """Give a notebook the outputs of an earlier build of the same code.

    Raises:
        ValueError: The code has changed.
    """
    new, old = ([cell for cell in one["cells"] if cell["cell_type"] == "code"] for one in (made, earlier))
    if [cell["source"] for cell in new] != [cell["source"] for cell in old]:
        raise ValueError("the code has changed: build without --text.")
    for cell, before in zip(new, old, strict=True):
        cell["outputs"], cell["execution_count"] = before["outputs"], before["execution_count"]
    return made


def main(words: list[str] | None = None) -> None:
    """Write all notebooks, or those whose names start with one of the given names."""
    import nbformat

    parser = argparse.ArgumentParser(description="Build the notebooks from the scripts beside this file.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="begin of a name, such as 05; default: all")
    parser.add_argument("--text", action="store_true", help="keep the outputs, replace only the text")
    parser.add_argument("--data", type=Path, help="folder that the notebooks find as data")
    chosen = parser.parse_args(words)
    for script in scripts():
        if not chosen.names or script.name.startswith(tuple(chosen.names)):
            target, made = script.with_suffix(".ipynb"), notebook(script)
            if chosen.text:
                made = with_outputs_of(made, nbformat.read(target, as_version=4))
            else:
                made = executed(made, chosen.data)
            nbformat.write(made, target)
            print(target.name, flush=True)


if __name__ == "__main__":
    main()
