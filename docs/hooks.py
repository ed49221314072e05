"""What MkDocs does beside its plugins: formulas become MathML at build time; files outside docs/ come along."""

import html
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_files(files: Files, config: Any) -> Files:
    """Take the benchmarks' results along, which pages show."""
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
