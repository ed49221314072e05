"""A page in Chromium: what it measures and says on the console."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

LETTERS = """Math.min(...[...document.querySelectorAll('svg g[id*="text_"] use')].map(e => e.getScreenCTM()).map(
  m => 100 * Math.hypot(m.a, m.b)))"""
"""Pixels of the smallest letters in the figures of a page: matplotlib draws them as shapes of 100 units."""

MEASURE = """<script>addEventListener('load', () => {
  const all = [...document.querySelectorAll('body *')];
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const lum = c => { const [r, g, b] = parts(c).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
    if (!(parts(c)[3] === 0)) return c; } return getComputedStyle(document.body).backgroundColor; };
  const texts = all.filter(e => !e.closest('svg') && [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()));
  const ratio = e => { const [a, b] = [lum(getComputedStyle(e).color), lum(behind(e))].sort((x, y) => y - x);
    return (a + .05) / (b + .05); };
  const reach = [...document.querySelectorAll('a[href], summary, [tabindex]')];
  const focused = reach.filter(e => { e.focus(); return document.activeElement === e; });
  parent.postMessage(JSON.stringify({dark: matchMedia('(prefers-color-scheme: dark)').matches, width: innerWidth, contrast: Math.min(...texts.map(ratio)), texts: texts.length,
    wide: all.filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.wide')).map(e => e.tagName),
    scrolled: all.filter(e => e.matches('.wide') && e.scrollWidth > e.clientWidth && e.tabIndex !== 0).length,
    reach: reach.length, focused: focused.length, images: [...document.images].filter(i => i.naturalWidth > 0).length,
    nameless: [...document.images].filter(i => !i.alt).length, lang: document.documentElement.lang,
    letters: LETTERS,
    small: Math.min(...texts.map(e => parseFloat(getComputedStyle(e).fontSize))),
    fetched: performance.getEntriesByType('resource').filter(e => !e.name.startsWith('data:')).length}), '*'); });</script>""".replace(
    "LETTERS", LETTERS
)
FRAME = """<!doctype html><title>-</title><link rel="icon" href="data:,"><script>addEventListener('message',
  e => document.title = e.data)</script><iframe src="page.html" style="border:0;width:{width}px;height:3000px"></iframe>"""


def browse(page: str, width: int, folder: Path, dark: bool = False) -> tuple[dict[str, Any], str]:
    """What a browser of that width makes of a page, and what it says on the console."""
    (folder / "page.html").write_text(page.replace("</head>", MEASURE + "</head>").replace(' loading="lazy"', ""))
    (folder / "frame.html").write_text(FRAME.format(width=width))
    chromium = shutil.which("chromium")
    assert chromium is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    flags += ["--blink-settings=preferredColorScheme=0"] if dark else []
    flags += ["--enable-logging=stderr", "--window-size=1300,3200", "--virtual-time-budget=8000"]
    ended = subprocess.run(
        [chromium, *flags, (folder / "frame.html").as_uri()], capture_output=True, text=True, timeout=180, check=True
    )
    title = re.search(r"<title>(.*?)</title>", ended.stdout, re.DOTALL)
    assert title is not None
    return json.loads(title[1]), "\n".join(line for line in ended.stderr.splitlines() if "CONSOLE" in line)
