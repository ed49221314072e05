"""Draw the floors of the project and list its folders, from the import contract and the packages' docstrings.

python docs/architecture.py     # writes docs/architecture.svg and the table in docs/architecture.md
"""

import ast
import html
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
FIGURE = ROOT / "docs" / "architecture.svg"
BEGIN, END = "<!-- folders -->\n", "<!-- end of folders -->"
WIDTH, FLOOR_GAP, ROOM_HEIGHT, ROOM_GAP, LETTER = 920, 14, 30, 8, 7.5


def floors() -> list[list[str]]:
    """Return the packages of each floor, the highest first, as the contract in pyproject.toml says."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.split(" | ") for layer in layers]


def rooms(package: str) -> list[str]:
    """Folders of a package that hold an `__init__.py`, relative to it, without the package itself."""
    found = (path.parent for path in (ROOT / package).rglob("__init__.py"))
    return sorted(path.relative_to(ROOT / package).as_posix() for path in found if path != ROOT / package)


def purpose(folder: str) -> str:
    """Return what a package is for, and which file to open first: two sentences of its docstring at most."""
    doc = ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())) or ""
    first, *others = re.split(r"(?<=\.)\s+(?=[A-Z`])", " ".join(doc.split()))
    opened = [re.split(r"(?<=first)[:,]", sentence)[0] for sentence in others if re.match("Open|Read", sentence)]
    return " ".join([first, *(f"{sentence.rstrip('.')}." for sentence in opened[:1])])


def table() -> str:
    """Return a Markdown table: every folder and what it is for."""
    rows = ["| folder | what it holds |", "| --- | --- |"]
    for floor in floors():
        for package in floor:
            rows.append(f"| **`{package}/`** | {purpose(package)} |")
            rows += [f"| `{package}/{room}/` | {purpose(f'{package}/{room}')} |" for room in rooms(package)]
    return "\n".join(rows) + "\n"


def _lines(names: list[str], width: float) -> Iterator[list[tuple[str, float]]]:
    """Names with their widths, in lines that fit."""
    line: list[tuple[str, float]] = []
    for name in names:
        size = len(name) * LETTER + 20
        if line and sum(w for _, w in line) + ROOM_GAP * len(line) + size > width:
            yield line
            line = []
        line.append((name, size))
    if line:
        yield line


def _package(package: str, left: float, top: float, width: float) -> tuple[str, float]:
    """Return a box with a package's folders; its SVG and its height."""
    parts, y = [], top + 34.0
    for line in _lines(rooms(package), width - 24):
        x = left + 12
        for name, size in line:
            parts.append(f'<rect class="room" x="{x:g}" y="{y:g}" width="{size:g}" height="{ROOM_HEIGHT - 6}" rx="4"/>')
            parts.append(f'<text class="small" x="{x + size / 2:g}" y="{y + 16:g}">{html.escape(name)}</text>')
            x += size + ROOM_GAP
        y += ROOM_HEIGHT
    height = y - top + 8
    box = f'<rect class="floor" x="{left:g}" y="{top:g}" width="{width:g}" height="{{height:g}}" rx="6"/>'
    title = f'<text class="name" x="{left + 12:g}" y="{top + 22:g}">{package}/</text>'
    return box + title + "".join(parts), height


def figure() -> str:
    """Return the floors as SVG: an import may only go down."""
    parts, top = [], 10.0
    for floor in [["cli.py"], *floors()]:
        width = (WIDTH - 20 - FLOOR_GAP * (len(floor) - 1)) / len(floor)
        boxes = []
        for number, package in enumerate(floor):
            left = 10 + number * (width + FLOOR_GAP)
            if package.endswith(".py"):
                box = f'<rect class="floor" x="{left:g}" y="{top:g}" width="{width:g}" height="{{height:g}}" rx="6"/>'
                title = (
                    f'<text class="name" x="{left + 12:g}" y="{top + 22:g}">{package}, notebooks/, benchmarks/</text>'
                )
                boxes.append((box + title, 36.0))
            else:
                boxes.append(_package(package, left, top, width))
        height = max(size for _, size in boxes)
        parts += [box.format(height=height) for box, _ in boxes]
        top += height + FLOOR_GAP
    style = (
        "text{font-family:ui-sans-serif,system-ui,sans-serif;fill:#1b1f24}.name{font-size:15px;font-weight:600}"
        ".small{font-size:12.5px;text-anchor:middle}.floor{fill:#eef3fa;stroke:#5b7fb0}.room{fill:#fff;stroke:#b9c7da}"
    )
    title = "Floors of the project: each package imports only what stands below it."
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:g}" role="img" aria-label="{title}">'
        f"<title>{title}</title><style>{style}</style>"
        f'<rect width="{WIDTH}" height="{top:g}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def page() -> str:
    """Return the page with its table renewed."""
    text = PAGE.read_text()
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + table() + END, text, flags=re.DOTALL)


if __name__ == "__main__":
    FIGURE.write_text(figure())
    PAGE.write_text(page())
