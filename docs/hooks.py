"""What MkDocs does beside its plugins: formulas become MathML, generated pages and files outside docs/ come along."""

import html
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path
IMAGE = re.compile(r'<img alt="([^"]*)" src="([^"]*)" />')
PHONE = 353
"""Pixels for an image on a screen of 400 pixels."""
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Add the reference of commands and presets, and the benchmarks' results, which pages show."""
    from docs.reference_pages import PAGES

    for name, text in PAGES.items():
        files.append(File.generated(config, name, content=text()))
    for path in sorted((ROOT / "benchmarks" / "results").rglob("*")):
        if path.is_file():
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point at where those results lie on the site."""
    return markdown.replace("](../benchmarks/results/", "](benchmarks/results/")


def on_page_content(html_text: str, page: Page, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script; name cross-references plainly; box figures."""
    text = re.sub(r":(?:class|func|meth|mod|attr):<code>~?([\w.]+?)</code>", r"<code>\1</code>", html_text)
    text = IMAGE.sub(lambda found: boxed(found, (ROOT / "docs" / page.file.src_uri).parent), text)
    return FORMULA.sub(lambda found: mathml(found[2], block=found[1] == "div"), text)


def boxed(found: re.Match[str], folder: Path) -> str:
    """Return a wide image in a box in which it scrolls where its letters would be too small to read.

    Args:
        found: The image, with its text and its path.
        folder: That of the page.
    """
    text, name = found[1], found[2].removeprefix("../")
    path = next(path for path in (folder / found[2], ROOT / found[2], ROOT / name) if path.is_file())
    width = legible_width(path)
    if width <= PHONE:
        return found[0]
    style = f"--legible: {width}px"
    return f'<span class="figure" role="region" aria-label="{text}" tabindex="0" style="{style}">{found[0]}</span>'


def legible_width(path: Path) -> int:
    """Return the pixels from which letters can be read: 9 for those of 8 points, and 10 for a page's of 16."""
    if path.suffix == ".svg":
        text = path.read_text(encoding="utf-8")
        smallest = min(float(size) for size in re.findall(r"font-size:([\d.]+)px", text))
        return round(9 / smallest * float(re.findall(r'viewBox="0 0 ([\d.]+) ', text)[0]))
    with Image.open(path) as image:
        inches = image.width / image.info["dpi"][0] if "dpi" in image.info else 0
        return round(81 * inches) if inches else round(0.6 * min(image.width, 1000))


def mathml(formula: str, block: bool) -> str:
    """Return a formula of LaTeX as MathML; what is not understood ends the build."""
    made: str = convert(html.unescape(formula).strip(), display="block" if block else "inline")
    return f'<div class="formula" style="overflow-x: auto" tabindex="0">{made}</div>' if block else made
