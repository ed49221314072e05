"""Take the screenshots of README and docs: `python -m docs.screenshots [NAME …]` (needs Chromium).

A quickstart run in a temporary folder gives pages and terminal output; Chromium draws them and the shipped reports.
`docs/screenshots/` gets a sheet for each page: 1,280, 800 and 400 pixels wide, dark, and printed. `docs/images/` gets
what README and home page show.
"""

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
SHEETS = ROOT / "docs" / "screenshots"
IMAGES = ROOT / "docs" / "images"
GAP = 24
SHOWN = {"evaluation": "evaluation", "diagnostics": "diagnostics", "study_optimizers_cifar10": "study"}
"""Pages that README and home page show, with the names of their images."""
GALLERY = {f"study_{name}" for name in ("losses_outliers", "losses_clean", "losses_heavy_tails", "schedules", "faster")}
GALLERY |= {f"study_{name}" for name in ("optimizers_cifar10", "quickstart", "imbalance_100", "linear_regression")}
"""Studies with a small image in the gallery."""
TASKS = ("binary", "regression", "segmentation")
RUN = ["fit", "-c", "configs/quickstart.yaml"]


class View(NamedTuple):
    """How a page is looked at: size of the window in pixels, colours, paper, and its width on the sheet."""

    width: int
    height: int
    shown: int
    dark: bool = False
    printed: bool = False


VIEWS = [
    View(1280, 1600, 560),
    View(1280, 1600, 560, dark=True),
    View(800, 1600, 350),
    View(400, 1600, 220),
    View(794, 1123, 350, printed=True),  # A4 at 96 dots an inch
]


def shoot(page: Path, view: View, scale: float = 1, closed: bool = False) -> Image.Image:
    """Return what Chromium shows of a page.

    Args:
        page: An HTML file.
        view: Size, colours, paper.
        scale: Pixels of the image per pixel of the page.
        closed: Whether explanations that can be closed are.
    """
    chromium = shutil.which("chromium") or sys.exit("error: there is no chromium (apt-get install chromium).")
    with tempfile.TemporaryDirectory() as folder:
        text = page.read_text(encoding="utf-8").replace(' loading="lazy"', "")
        if closed:
            text = text.replace("<details open>", "<details>")
        if view.printed:
            text = text.replace("@media print", "@media all").replace(
                "</head>", "<style>html { padding: 48px }</style></head>"
            )
        copy = Path(folder) / page.name
        copy.write_text(text, encoding="utf-8")
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--user-data-dir={folder}/profile",
        ]
        flags += [f"--window-size={view.width},{view.height}", f"--force-device-scale-factor={scale}"]
        flags += ["--virtual-time-budget=4000", f"--screenshot={folder}/shot.png"]
        flags += ["--blink-settings=preferredColorScheme=0"] if view.dark else []
        subprocess.run([chromium, *flags, copy.as_uri()], capture_output=True, timeout=180, check=True)
        with Image.open(f"{folder}/shot.png") as image:
            return image.convert("RGB")


def sheet(page: Path) -> Image.Image:
    """Return all views of a page side by side."""
    with ThreadPoolExecutor(2) as pool:
        images = list(pool.map(lambda view: shoot(page, view), VIEWS))
    small = [
        image.resize((view.shown, round(image.height * view.shown / image.width)), Image.Resampling.LANCZOS)
        for image, view in zip(images, VIEWS, strict=True)
    ]
    width = sum(image.width for image in small) + GAP * (len(small) + 1)
    whole = Image.new("RGB", (width, max(image.height for image in small) + 2 * GAP), "#888")
    left = GAP
    for image in small:
        whole.paste(image, (left, GAP))
        left += image.width + GAP
    return whole


def recorded(command: list[str], folder: Path, columns: int) -> list[str]:
    """Return the lines that a terminal shows when a command has ended, with their colours as escape sequences."""
    environment = os.environ | {"COLUMNS": str(columns), "LINES": "60", "TERM": "xterm-256color"}
    environment["OMP_WAIT_POLICY"] = "passive"  # no line about other programs, which depends on the moment
    here, there = pty.openpty()
    fcntl.ioctl(there, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    words = [sys.executable, str(ROOT / "cli.py"), *command]
    with subprocess.Popen(words, cwd=folder, env=environment, stdout=there, stderr=there, stdin=there):
        os.close(there)
        said = b""
        with suppress(OSError):  # the terminal is closed when the command ends
            while more := os.read(here, 65536):
                said += more
    os.close(here)
    return screen(said.decode("utf-8", "replace"))


def screen(said: str) -> list[str]:
    r"""Return the lines that are on the screen after some output: a progress bar has overwritten itself.

    Example:
        >>> screen("a bar\r\x1b[2Kdone\r\nnext")
        ['done', 'next']
    """
    lines: list[list[str]] = [[]]
    row, column, colour = 0, 0, ""
    for sequence, letter in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z])|(.)", said, re.DOTALL):
        if letter == "\n":
            row, column = row + 1, 0
            lines += [[]] if row == len(lines) else []
        elif letter == "\r":
            column = 0
        elif letter:
            lines[row] += [" "] * (column + 1 - len(lines[row]))
            lines[row][column] = f"{colour}{letter}\x1b[0m" if colour else letter
            column += 1
        elif sequence.endswith("m"):
            colour = "" if sequence in ("\x1b[0m", "\x1b[m") else colour + sequence
        elif sequence.endswith("A"):
            row = max(0, row - int(sequence[2:-1] or 1))
        elif sequence.endswith("K"):
            lines[row] = [] if sequence[2:-1] == "2" else lines[row][:column]
    return ["".join(line) for line in lines]


def terminal(command: list[str], said: list[str], columns: int, folder: Path) -> Image.Image:
    """Return a picture of a terminal: the command and what it printed."""
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ descent {' '.join(command)}", style="bold"))
    console.print(Text.from_ansi("\n".join(said).rstrip()))
    drawn = console.export_html(theme=MONOKAI, inline_styles=True, code_format="{code}")
    style = (
        "background:#1b1e26; color:#e8e8e8; margin:0; padding:20px 24px; font:15px/1.45 'DejaVu Sans Mono', monospace"
    )
    page = folder / "terminal.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin:0"><pre style="{style}">{drawn}</pre>')
    return shoot(page, View(960, round(15 * 1.45 * drawn.count("\n")) + 40, 960), 1.5)


def pages(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run the commands that make pages, and yield each page with its name."""
    run = "runs/quickstart/0"
    _some_images(folder / "new_images")
    commands = [[*RUN, "--trainer.callbacks+=callbacks/diagnostics.yaml"]]
    commands += [["evaluate", "--ckpt_path", run], ["predict", "--ckpt_path", run, "--images", "new_images"]]
    for task in TASKS:
        commands += [["fit", "-c", f"configs/{task}.yaml"], ["evaluate", "--ckpt_path", f"runs/{task}"]]
    for command in commands:
        subprocess.run([sys.executable, str(ROOT / "cli.py"), *command], cwd=folder, check=True, capture_output=True)
    yield from ((page.stem, page) for page in sorted((folder / "runs/quickstart").rglob("*.html")))
    yield from ((f"evaluation_{task}", folder / f"runs/{task}/0/evaluation/evaluation.html") for task in TASKS)
    yield from ((f"study_{page.parent.name}", page) for page in sorted((ROOT / "docs/studies").glob("*/report.html")))
    yield from ((page.stem, page) for page in sorted((ROOT / "docs/studies").glob("*.html")))


def _some_images(folder: Path) -> None:
    """Write some digits as image files into a folder."""
    from sklearn.datasets import load_digits

    folder.mkdir()
    for index, pixels in enumerate(load_digits().images[:60]):
        Image.fromarray((pixels * 15.9).astype("uint8")).save(folder / f"{index:02}.png")


def main(wanted: list[str]) -> None:
    """Write the sheets and images of some pages, by default of all."""
    SHEETS.mkdir(exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(terminal(RUN, recorded(RUN, folder, 100), 100, folder), IMAGES / "terminal.webp")
        for title, page in pages(folder):
            if wanted and title not in wanted:
                continue
            save(sheet(page), SHEETS / f"{title}.webp")
            print(title, flush=True)
            if title in SHOWN:
                save(shown_image(page), IMAGES / f"{SHOWN[title]}.webp")
            if title in GALLERY:
                shot = shoot(page, View(1000, 750, 1000))
                save(shot.resize((480, 360), Image.Resampling.LANCZOS), IMAGES / f"{title}_small.webp")


def shown_image(page: Path) -> Image.Image:
    """Return the beginning of a page, 800 × 1,200 pixels: it can be read in half of a README's width too."""
    return shoot(page, View(800, 1200, 800), closed=True)


def save(image: Image.Image, path: Path) -> None:
    """Save an image as WebP."""
    image.save(path, quality=35, method=6)


if __name__ == "__main__":
    main(sys.argv[1:])
