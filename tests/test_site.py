"""The documentation: its site is built with warnings as errors, its commands are run in order, a browser opens it."""

import html
import json
import os
import re
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from cli import main

ROOT = Path(__file__).parents[1]
SHORT = [
    "--trainer.max_epochs=1",
    "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=1",
    "--trainer.accelerator=cpu",
]
SHORT += ["--model.optimizer.lr=0.001", "--data.batch_size=16", "--data.eval_batch_size=32"]
SHORTENED = {
    "fit": SHORT,
    "find-lr": [
        "--steps=20",
        "--repeats=1",
        "--low=1e-4",
        "--high=100",
        "--trainer.accelerator=cpu",
        "--data.batch_size=16",
    ],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_in_the_navigation(site: Path) -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert f" {name}\n" in text, f"{name} is not in mkdocs.yml's nav"
        built = site / name.replace("README.md", "index.html").replace(".md", ".html")
        assert built.is_file()


def test_formulas_are_drawn_without_a_script(site: Path) -> None:
    pages = {page: page.read_text() for page in (site / "reference").glob("*.html")}
    assert sum(page.count("<math ") for page in pages.values()) > 5
    for page in pages.values():
        assert "arithmatex" not in page
        assert "$$" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
        assert not re.findall(r"""(?:src|href)=["']https?://[^"']*\.(?:js|css|woff2?)""", page)


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("page", "width"),
    [("tutorial.html", 400), ("reference/schedulers.html", 400), ("reference/presets.html", 400), ("why.html", 1300)],
)
def test_a_browser_opens_it(site: Path, page: str, width: int, tmp_path: Path) -> None:
    look = """<script>addEventListener('load', () => {
      const input = document.querySelector('.md-search__input');
      input.focus(); input.value = 'cosine'; input.dispatchEvent(new Event('keyup', {bubbles: true}));
      setTimeout(() => parent.postMessage(document.documentElement.scrollWidth + ' ' +
        document.querySelectorAll('.md-search-result__item').length, '*'), 2000);
    })</script>"""
    shown = site / page.replace(".html", "_looked_at.html")
    shown.write_text((site / page).read_text().replace("</head>", look + "</head>"))
    frame = f"<title>-</title><script>addEventListener('message', e => document.title = e.data)</script><iframe src='{shown.as_uri()}' style='border:0;width:{width}px;height:900px'></iframe>"
    (tmp_path / "frame.html").write_text(frame)
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'p'}",
        "--window-size=1400,1000",
    ]
    flags += ["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        ["chromium", *flags, (tmp_path / "frame.html").as_uri()], capture_output=True, text=True, timeout=180
    )
    found = re.search(r"<title>(\d+) (\d+)</title>", done.stdout)
    assert found is not None, done.stderr[-2000:]
    assert int(found[1]) <= width, "something sticks out of the screen"
    assert int(found[2]) > 3, "the search finds nothing in a site that is opened from a folder"
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []


@pytest.mark.chromium
def test_a_phone_shows_every_page(site: Path, tmp_path: Path) -> None:
    look = """<script>addEventListener('load', () => parent.postMessage([name, document.documentElement.scrollWidth,
      [...document.querySelectorAll('.md-content img')].map(e => [e.alt, e.clientWidth, e.naturalWidth,
        e.closest('.figure, table') !== null])], '*'))</script>"""
    frames = ""
    for page in sorted(site.rglob("*.html")):
        text = page.read_text()
        if '<article class="md-content__inner' not in text:
            continue  # a study's report, which has tests of its own
        shown = page.with_name(page.name.replace(".html", "_on_a_phone.html"))
        shown.write_text(re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL).replace("</head>", look + "</head>"))
        name = page.relative_to(site).as_posix()
        frames += f'<iframe name="{name}" src="{shown.as_uri()}" style="border:0; width:400px; height:700px"></iframe>'
    collect = "const all = []; addEventListener('message', e => document.title = JSON.stringify([...all, all.push(e.data) && e.data]))"
    (tmp_path / "frame.html").write_text(f"<title>-</title><script>{collect}</script>{frames}")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'p'}", "--dump-dom"]
    done = subprocess.run(
        ["chromium", *flags, "--virtual-time-budget=9000", (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert found is not None, done.stderr[-2000:]
    seen = {name: (width, images) for name, width, images in json.loads(html.unescape(found[1]))}
    assert len(seen) == frames.count("<iframe")
    assert [name for name, (width, _) in seen.items() if width > 400] == [], "something sticks out of the screen"
    images = [image for _, (_, all_images) in seen.items() for image in all_images]
    assert len(images) > 12
    small = [text for text, shown, natural, _ in images if natural > 500 and shown < 0.4 * natural]
    assert small == [], "letters too small to read"
    assert [text for text, shown, _, boxed in images if shown > 368 and not boxed] == []


@pytest.mark.parametrize("page", ["tutorial.md", "howto.md"])
def test_its_commands_work(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^    descent (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
    assert len(commands) > 8
    for command in commands:
        words = shlex.split(command)
        if words[0] == "compare":  # has tests of its own; here it is the study that must be there
            assert yaml.safe_load((ROOT / words[2]).read_text())["candidates"]
            continue
        short = list(SHORTENED.get(words[0], []))
        with suppress(SystemExit):
            main([*words, *[word for word in short if word.partition("=")[0] not in words]])
            continue
        pytest.fail(f"descent {command} ended with an error")
