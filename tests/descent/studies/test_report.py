"""The page in a real browser: it shows verdict and figures, fits a phone, and fetches nothing."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from matplotlib.image import imread

from descent.studies.report.figures import all_figures
from descent.studies.report.page import page, svg
from descent.studies.running.planner import Plan
from tests.descent.studies.synthetic import analysis

MEASURE = """<script>addEventListener('load', () => {
  const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.wide'));
  document.title = JSON.stringify({verdict: document.querySelector('#verdict').textContent,
    figures: [...document.querySelectorAll('figure svg')].map(e => Math.round(e.getBoundingClientRect().width)),
    rows: document.querySelectorAll('tbody tr').length, wide: wide.map(e => e.tagName),
    fetched: performance.getEntriesByType('resource').length}); });</script>"""


def report() -> str:
    study = analysis({"AdamW": 0.95, "Momentum": 0.951, "SGD <script>": 0.90}, trials=5)
    machine = {"host": "h", "processor": "p"}
    return page(study, all_figures(study), Plan(5, 8, 60.0, 0.01), machine, "descent compare -c x.yaml")


@pytest.mark.chromium
@pytest.mark.parametrize("width", [500, 1200])
def test_a_browser_shows_it_whole(tmp_path: Path, width: int) -> None:
    source = tmp_path / "report.html"
    source.write_text(report().replace("</head>", MEASURE + "</head>"))
    chromium = shutil.which("chromium")
    assert chromium is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *flags, f"--window-size={width},2000", "--virtual-time-budget=5000", "--dump-dom"]
    found = subprocess.run([*command, source.as_uri()], capture_output=True, text=True, timeout=180, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", found, re.DOTALL)
    assert title is not None
    seen = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert "SGD <script> (" in seen["verdict"]
    assert seen["rows"] == 3
    assert len(seen["figures"]) == 6
    assert min(seen["figures"]) > 380
    assert seen["wide"] == [], "something sticks out of the screen"
    assert seen["fetched"] == 0


def test_it_holds_everything_that_repeats_the_study() -> None:
    text = report()
    assert "<script" not in text
    for wanted in (
        "descent compare -c x.yaml",
        "baseline: AdamW",
        "weight_decay: 0.01",
        "processor: p",
        "Whole config of",
    ):
        assert wanted in text
    assert "@media print" in text
    assert 'name="viewport"' in text


def test_identifiers_of_the_figures_do_not_collide() -> None:
    text = report()
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names))
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= set(names)


def test_figures_are_the_same_each_time_and_have_no_date(tmp_path: Path) -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90})
    first, second = (svg(all_figures(study)["curves"], "curves") for _ in range(2))
    assert first == second
    all_figures(study)["differences"].savefig(tmp_path / "d.png", dpi=100)
    figure = imread(tmp_path / "d.png")
    assert (figure[:, -2:, :3] > 0.99).all(), "something is cut off at the right"
