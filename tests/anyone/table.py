"""The table in the documentation: each style by each operation."""

import re
from pathlib import Path

from tests.anyone.operations import OPERATIONS, WORKS
from tests.anyone.styles import STYLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "your_own_module.md"
START, END = "<!-- table of tests/anyone -->", "<!-- end of table -->"


def outcome(style: str, operation: str, folder: Path) -> str:
    """Run one combination in a folder."""
    return OPERATIONS[operation](STYLES[style], folder)


def as_text(found: dict[str, dict[str, str]]) -> str:
    """Return the table, with notes for what is more than `works`."""
    notes: list[str] = []
    lines = ["| your module | " + " | ".join(OPERATIONS) + " |", "| --- |" + " --- |" * len(OPERATIONS)]
    for style, row in found.items():
        cells = []
        for operation in OPERATIONS:
            text = row[operation]
            if text == WORKS:
                cells.append("✓")
                continue
            if text not in notes:
                notes.append(text)
            cells.append(f"({notes.index(text) + 1})")
        lines.append(f"| {style} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *(f"({number}) {note}.  " for number, note in enumerate(notes, 1))])


def write_table(found: dict[str, dict[str, str]]) -> None:
    """Put the table between its marks."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    DOCUMENT.write_text(f"{before}{START}\n\n{as_text(found)}\n\n{END}{after}", encoding="utf-8")


def read_table() -> dict[str, dict[str, str]]:
    """Return the outcomes that the documentation states."""
    text = DOCUMENT.read_text(encoding="utf-8").split(START)[1].split(END)[0]
    notes = {f"({number})": note for number, note in re.findall(r"^\((\d+)\) (.*)\.  $", text, re.MULTILINE)}
    found: dict[str, dict[str, str]] = {}
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    for name, *cells in rows[2:]:
        found[name] = {
            operation: notes.get(cell, WORKS if cell == "✓" else cell)
            for operation, cell in zip(OPERATIONS, cells, strict=True)
        }
    return found
