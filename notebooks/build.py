"""Make the notebooks from the scripts beside this file and execute them: python -m notebooks.build [NAME …].

A script is in the percent format: cells begin with `# %%` or `# %% [markdown]`. What follows `# small:` takes the place
of the value in its line where the tests run the cells; a magic that a cell begins with stands behind a `#`.
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
    """The notebooks' scripts, in order."""
    return sorted(HERE.glob("[0-9]*.py"))


def cells(script: Path) -> list[tuple[str, str]]:
    """Kind (`code` or `markdown`) and text of each cell."""
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
    """The cell with its small settings, and without what is for a notebook alone."""
    return SMALL.sub(r"= \1", re.sub(r"\A%.*\n", "", code))


def notebook(script: Path) -> Any:
    """The notebook of a script, not executed; its cells' names do not change from one build to the next."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    for number, (kind, text) in enumerate(cells(script)):
        cell = new_code_cell(re.sub(r"  # small: .*", "", text)) if kind == "code" else new_markdown_cell(text)
        cell["id"] = f"cell-{number}"
        made["cells"].append(cell)
    return made


def executed(made: Any) -> Any:
    """Execute it in a folder of its own; standard error and times of the machine are left out."""
    from nbclient import NotebookClient

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH", "")]))
    with TemporaryDirectory() as folder:
        NotebookClient(made, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
        for cell in made["cells"]:
            cell["metadata"] = {}
            if cell["cell_type"] == "code":
                cell["outputs"] = joined(cell["outputs"], folder)
    return made


def joined(outputs: list[Any], folder: str) -> list[Any]:
    """Outputs without standard error, progress bars and the machine's paths, standard output in one piece."""
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
    """Write the notebooks, all or those whose names begin so."""
    import nbformat

    for script in scripts():
        if not names or script.name.startswith(tuple(names)):
            nbformat.write(executed(notebook(script)), script.with_suffix(".ipynb"))
            print(script.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
