"""The page in a real browser: it fits a desktop and a phone, its figures load, and it requests nothing."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from callbacks.diagnostics.page import FIGURES, UNUSUAL, diagnostics_page, heat_map
from tests.browser import LETTERS

# The page is in a frame, because a window of Chromium is never narrower than 500 pixels.
FRAME = """<!doctype html><title></title><iframe id="page" style="border:0" width="WIDTH" height="900" src="page.html">
</iframe><script>addEventListener('load', () => {
  const page = document.getElementById('page').contentWindow, seen = page.document;
  const wide = [...seen.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > page.innerWidth + 1
    && !e.closest('.wide'));
  document.title = JSON.stringify({findings: [...seen.querySelectorAll('.findings li')].map(e => e.textContent),
    figures: [...seen.querySelectorAll('img, figure svg')].map(e => Math.round(e.getBoundingClientRect().width)
      * (e.complete === false || e.naturalWidth === 0 ? 0 : 1)),
    letters: LETTERS,
    scrolls: seen.documentElement.scrollWidth > page.innerWidth, wide: wide.map(e => e.tagName)});
});</script>""".replace("LETTERS", LETTERS.replace("document", "seen"))


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


@pytest.mark.drawn
@pytest.mark.chromium
def test_it_fits_the_browser(tmp_path: Path) -> None:
    found = ["conv3: 41% of units dead since epoch 2 <b>", "x" * 90]
    page = diagnostics_page(table(), found, "Inside quickstart 0", {"network.head": "Linear"})
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    for width in (400, 1200):
        seen, console = browsed(tmp_path, width)
        assert console == ""
        assert seen["findings"] == found
        assert len(seen["figures"]) == len(FIGURES)
        assert min(seen["figures"]) >= min(width - 50, 576), "a figure is missing, or too small to read"
        assert seen["letters"] >= 8.99, "letters too small to read"
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


def test_layers_have_their_type_and_stand_out_if_unusual() -> None:
    rows = table()
    axes, bar = heat_map(rows[rows["quantity"] == "gradient"], FIGURES["gradient"], {"network.head": "Linear"}).axes
    labels = {label.get_text(): label.get_color() for label in axes.get_yticklabels()}
    assert list(labels) == ["features.0", "features.1.…of_a_layer", "head\nLinear"]
    assert UNUSUAL not in labels.values(), "0.01 of the largest layer's gradient is usual"
    assert bar.get_ylabel() == "gradient norm"
    assert any(line.get_color() == "#009E73" for line in bar.get_lines()), "what is usual is drawn"
    vanishing = rows.assign(value=rows["value"] ** 3)
    axes, _ = heat_map(vanishing[vanishing["quantity"] == "gradient"], FIGURES["gradient"]).axes
    assert [label.get_color() == UNUSUAL for label in axes.get_yticklabels()] == [False, False, True]


def test_what_is_not_measured_has_no_colour_of_the_scale() -> None:
    rows = table()
    rows = rows[(rows["quantity"] == "update")].assign(value=lambda each: each["value"].where(each.index % 2 == 0, 0.0))
    axes, _ = heat_map(rows, FIGURES["update"]).axes
    assert axes.patch.get_hatch() is not None
    scale = axes.images[0].get_cmap()(np.linspace(0, 1, 50))[:, :3]
    assert (scale.max(axis=1) - scale.min(axis=1)).min() > 0.15, "a grey in the scale looks like what is not measured"
    assert np.ma.getmaskarray(np.ma.asarray(axes.images[0].get_array())).any()


@pytest.mark.drawn
def test_figures_come_first_and_follow_the_dark_mode() -> None:
    page = diagnostics_page(table(), ["conv3: dead"], "Inside quickstart 0")
    assert page.index("<svg") < page.index("conv3: dead")
    assert 'href="#findings">1 problem was found' in page
    figures = page[page.index("<svg") :]
    assert "currentColor" in figures
    assert "var(--error)" in figures, "names outside the usual range"
    assert "#000000" not in figures


def test_it_prints() -> None:
    page = diagnostics_page(table(), [], "Inside quickstart 0")
    assert "No problem was found." in page
    assert "@media print" in page
    assert 'name="viewport"' in page
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "<script" not in page
