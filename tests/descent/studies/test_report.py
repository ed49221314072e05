"""The page in a real browser: it shows verdict and figures, fits a phone, and fetches nothing."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from matplotlib.image import imread

from descent.studies.report import figures
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.context import title
from descent.studies.report.figures import DECISIONS, all_figures, sensitivity
from descent.studies.report.page import page
from descent.studies.report.write import StudyResult, write_report
from descent.studies.running.planner import Plan
from foundation.html.svg import captioned
from tests.browser import LETTERS, browse
from tests.descent.studies.synthetic import analysis

MEASURE = """<script>addEventListener('load', () => {
  const wide = [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1
    && !e.closest('.wide'));
  document.title = JSON.stringify({verdict: document.querySelector('#verdict').textContent,
    figures: [...document.querySelectorAll('figure svg')].map(e => Math.round(e.getBoundingClientRect().width)),
    lefts: [...document.querySelectorAll('figure')].map(e => Math.round(e.getBoundingClientRect().left)), letters: LETTERS,
    scrolled: [...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth + 1).length,
    rows: document.querySelectorAll('tbody tr').length, wide: wide.map(e => e.tagName),
    fetched: performance.getEntriesByType('resource').length}); });</script>""".replace("LETTERS", LETTERS)


@cache
def report() -> str:
    study = analysis({"AdamW": 0.95, "Momentum": 0.951, "SGD <script>": 0.90}, trials=5)
    machine = {"host": "h", "processor": "p"}
    return page(study, all_figures(study), Plan(5, 8, 60.0, 0.01), machine, "descent compare -c x.yaml")


@pytest.mark.chromium
def test_a_browser_shows_it_whole(tmp_path: Path) -> None:
    source = tmp_path / "report.html"
    source.write_text(report().replace("</head>", MEASURE + "</head>"))
    chromium = shutil.which("chromium")
    assert chromium is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *flags, "--window-size=800,2000", "--virtual-time-budget=5000", "--dump-dom"]
    found = subprocess.run([*command, source.as_uri()], capture_output=True, text=True, timeout=180, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", found, re.DOTALL)
    assert title is not None
    seen = json.loads(title[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert "SGD <script> (" in seen["verdict"]
    assert seen["rows"] == 2 * 3, "two tables"
    assert len(seen["figures"]) == 6
    assert len(set(seen["lefts"])) == 2, "two figures beside each other"
    assert seen["letters"] >= 8.99, "letters of a figure are too small to read"
    assert seen["wide"] == [], "something sticks out of the screen"
    assert seen["scrolled"] == 0, "a table is wider than the page"
    assert seen["fetched"] == 0


@pytest.mark.chromium
def test_a_phone_shows_it_whole(tmp_path: Path) -> None:
    seen, said = browse(report(), 400, tmp_path)
    assert said == ""
    assert seen["wide"] == [], "something sticks out of the screen"
    assert seen["scrolled"] == 0, "what scrolls must be reachable by keyboard"
    assert seen["letters"] >= 8.99, "letters of a figure are too small to read"
    assert seen["contrast"] >= 4.5


def test_it_holds_everything_that_repeats_the_study() -> None:
    text = report()
    assert "<script" not in text
    for wanted in (
        "descent compare -c x.yaml",
        "baseline: AdamW",
        "weight_decay: 0.01",
        "processor: p",
        "Whole config of",
        '<p id="population">This verdict is about new training runs, tested on the study',
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
    first, second = (captioned(all_figures(study)["curves"], "curves", "") for _ in range(2))
    assert first == second
    all_figures(study)["differences"].savefig(tmp_path / "d.png", dpi=100)
    figure = imread(tmp_path / "d.png")
    assert (figure[:, -2:, :3] > 0.99).all(), "something is cut off at the right"


def test_dots_and_lines_have_a_hover_text_and_a_box_hides_a_candidate_everywhere(tmp_path: Path) -> None:
    text = report()
    for said in (r"Momentum, round 3: .{1,9} points", r"Momentum: \w+, .* points \[", r"AdamW: [\d.]+ % at the end"):
        assert re.search(rf"<title>{said}", text), said
    assert "<title>SGD &lt;script&gt;, round 1" in text
    assert text.count('<tr class="') == text.count("of-0") + text.count("of-1") + text.count("of-2") - 3
    for number in range(3):
        rule = f'body:has(#show-{number}:not(:checked)) :is(.of-{number}, [id*="-hover-{number}-"])'
        assert rule in text
        assert re.search(rf'id="differences-hover-{number}-', text) or number == 0, "the baseline has no row"
        assert re.search(rf'id="curves-hover-{number}-', text)
    two = analysis({"AdamW": 0.95, "SGD": 0.90})
    assert "checkbox" not in page(two, {}, None, {}, ""), "nothing to choose"


def test_lines_are_named_at_their_ends_and_the_forest_has_the_colours_of_the_decisions() -> None:
    study = analysis({"AdamW": 0.95, "Momentum": 0.9501, "SGD": 0.90}, sd=0.002)
    figures = all_figures(study)
    for name in ("curves", "expected_best"):
        assert {"AdamW", "Momentum", "SGD"} <= {text.get_text() for text in figures[name].axes[0].texts}
        assert not figures[name].legends
    rows = {pair.name: DECISIONS[pair.decision] for (_, base), pair in study.pairs.items() if base == "AdamW"}
    assert set(rows.values()) == {DECISIONS["equal"], DECISIONS["worse"]}
    assert {line.get_color() for line in figures["differences"].axes[0].lines} == {*rows.values(), "black"}


def test_studies_of_one_name_have_titles_of_their_own() -> None:
    shares = (0.01, 0.2)
    found = [
        title(analysis({"AdamW": 0.9, "SGD": 0.8}, overrides={"data.val_share": share}, seeds=3)) for share in shares
    ]
    assert found == [
        f"toy: AdamW vs SGD on DigitsDataModule, SmallCNN (width 32) (val_share {share})" for share in shares
    ]


def test_nothing_is_drawn_of_a_tuning_that_was_not_there() -> None:
    assert "sensitivity" not in all_figures(analysis({"AdamW": 0.95, "SGD": 0.90}, trials=1))


def test_a_value_with_a_score_in_one_round_and_none_in_another_is_drawn() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90}, trials=3, seeds=4, tuning="rounds")
    first = [run for key, run in study.outcomes.items() if key.stage == "tune" and key.index == 0]
    for run in first[: len(first) // 2]:
        run.update(status="stopped", score=None)
    assert sensitivity(study) is not None


def test_a_figure_that_cannot_be_drawn_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(study: StudyAnalysis) -> None:
        raise TypeError("planted")

    monkeypatch.setattr(figures, "time_split", broken)
    drawn = all_figures(analysis({"AdamW": 0.95, "SGD": 0.90}, trials=3))
    assert "curves" in drawn
    assert "time" not in drawn
    assert "the page lacks the figure time (TypeError: planted)" in capsys.readouterr().err


def test_a_figure_that_fails_when_it_is_drawn_loses_no_report(tmp_path: Path) -> None:
    study = analysis({"AdamW": 0.95, "a $\\foo$": 0.90}, trials=3)
    result = StudyResult(tmp_path, study, None)
    assert write_report(result).read_text().startswith("<!")
    assert (tmp_path / "table.csv").exists()
