"""What MkDocs does beside its plugins: formulas become MathML, generated pages and files outside docs/ come along."""

import html
import re
import sys
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # mkdocs loads this file by its path
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


def on_page_content(html_text: str, **_: Any) -> str:
    """Turn formulas into MathML, which browsers draw without a script; name cross-references plainly."""
    text = re.sub(r":(?:class|func|meth|mod|attr):<code>~?([\w.]+?)</code>", r"<code>\1</code>", html_text)
    return FORMULA.sub(lambda found: mathml(found[2], block=found[1] == "div"), text)


def mathml(formula: str, block: bool) -> str:
    """Return a formula of LaTeX as MathML; what is not understood ends the build."""
    made: str = convert(html.unescape(formula).strip(), display="block" if block else "inline")
    return f'<div class="formula" style="overflow-x: auto" tabindex="0">{made}</div>' if block else made
