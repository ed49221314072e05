"""The page in a real browser: it fits a desktop and a phone, its figures load, and it requests nothing."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from callbacks.diagnostics.page import FIGURES, diagnostics_page

# The page is in a frame, because a window of Chromium is never narrower than 500 pixels.
FRAME = """<!doctype html><title></title><iframe id="page" style="border:0" width="WIDTH" height="900" src="page.html">
</iframe><script>addEventListener('load', () => {
  const page = document.getElementById('page').contentWindow, seen = page.document;
  const wide = [...seen.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > page.innerWidth + 1
    && !e.closest('.wide'));
  document.title = JSON.stringify({findings: [...seen.querySelectorAll('.findings li')].map(e => e.textContent),
    figures: [...seen.images].map(e => e.complete && e.naturalWidth > 500 ? Math.round(e.width) : 0),
    scrolls: seen.documentElement.scrollWidth > page.innerWidth, wide: wide.map(e => e.tagName)});
});</script>"""


def table() -> pd.DataFrame:
    names = ["network.features.0", "network.features.1.a_long_name_of_a_layer", "network.head"]
    rows = [
        (step, step // 100, name, quantity, 10.0 ** (-index) * (step / 200 if quantity != "dead" else 0.4))
        for quantity in FIGURES
        for step in (50, 100, 150, 200)
        for index, name in enumerate(names)
    ]
    return pd.DataFrame(rows, columns=["step", "epoch", "layer", "quantity", "value"])


def browsed(folder: Path, width: int) -> tuple[dict[str, Any], str]:
    """Return what a browser of that width shows of `page.html`, and its console messages."""
    (folder / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    program = shutil.which("chromium")
    assert program is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    flags += ["--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=5000"]
    command = [program, *flags, "--window-size=1300,1000", (folder / "frame.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    seen: dict[str, Any] = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    return seen, "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)


@pytest.mark.chromium
@pytest.mark.parametrize("width", [400, 1200])
def test_it_fits_the_browser(tmp_path: Path, width: int) -> None:
    found = ["conv3: 41% of units dead since epoch 2 <b>", "x" * 90]
    (tmp_path / "page.html").write_text(diagnostics_page(table(), found, "Inside quickstart 0"), encoding="utf-8")
    seen, console = browsed(tmp_path, width)
    assert console == ""
    assert seen["findings"] == found
    assert len(seen["figures"]) == len(FIGURES)
    assert min(seen["figures"]) >= 600, "a figure is missing, or too small to read"
    assert seen["wide"] == [], "something sticks out of the screen"
    assert not seen["scrolls"]


@pytest.mark.chromium
def test_a_broken_page_would_fail(tmp_path: Path) -> None:
    broken = '<div class="findings"></div><img src="none.png"><p style="width:2000px">.</p><script>oops()</script>'
    (tmp_path / "page.html").write_text(f"<!doctype html>{broken}")
    seen, console = browsed(tmp_path, 400)
    assert "oops is not defined" in console
    assert seen["figures"] == [0]
    assert seen["scrolls"]
    assert seen["wide"] == ["P"]


def test_it_prints() -> None:
    page = diagnostics_page(table(), [], "Inside quickstart 0")
    assert "No problem was found." in page
    assert "@media print" in page
    assert 'name="viewport"' in page
    assert "http" not in page
    assert "<script" not in page
