"""Build the notebooks from the scripts in this folder and execute them: python -m notebooks.build [NAME …].

Scripts are in the percent format: cells begin with `# %%` or `# %% [markdown]`. When the tests run the cells, the value
after `# small:` replaces the value in its line. A magic command at the start of a cell is written as a comment.
"""

import os
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

HERE = Path(__file__).resolve().parent
SMALL = re.compile(r"= [^#\n]+  # small: (.*)")


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


def notebook(script: Path) -> Any:
    """Make the notebook of a script without executing it; the ids of its cells are the same in every build."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number, (kind, text) in enumerate(cells(script)):
        cell = new_code_cell(re.sub(r"  # small: .*", "", text)) if kind == "code" else new_markdown_cell(text)
        cell["id"] = f"cell-{number}"
        made["cells"].append(cell)
    return made


def executed(made: Any) -> Any:
    """Execute a notebook in a temporary folder and remove standard error and cell timings."""
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    with TemporaryDirectory() as folder:
        NotebookClient(made, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
        for cell in made["cells"]:
            cell["metadata"] = {}
            if cell["cell_type"] == "code":
                cell["outputs"] = clean(cell["outputs"], folder)
    return made


def clean(outputs: list[Any], folder: str) -> list[Any]:
    """Remove standard error, progress bars and absolute paths from outputs, and join pieces of standard output."""
    kept: list[Any] = []
    for output in outputs:
        is_a_bar = output["output_type"] == "display_data" and "image/png" not in output["data"]
        if output.get("name") == "stderr" or is_a_bar:
            continue
        if "text" in output:
            output["text"] = output["text"].replace(f"{folder}/", "").replace(f"{HERE.parent}/", "")
        if kept and output.get("name") == "stdout" == kept[-1].get("name"):
            kept[-1]["text"] += output["text"]
        else:
            kept.append(output)
    return kept


def main(names: list[str]) -> None:
    """Write all notebooks, or those whose names start with one of the given names."""
    import nbformat

    for script in scripts():
        if not names or script.name.startswith(tuple(names)):
            nbformat.write(executed(notebook(script)), script.with_suffix(".ipynb"))
            print(script.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
