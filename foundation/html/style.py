"""The CSS of every page: text has a contrast of at least 4.5 (WCAG AA), focus is visible, nothing moves."""

TEXT_NAMES = ("orange", "green", "pink", "yellow", "sky")
"""Names of the page's colours for text in a figure, in the order of the figures' colours, after blue."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --soft: #555; --line: #ddd; --link: #00508f;
  --lead: #f2f7fb; --code: #f6f6f6; --error: #a63d00; --blue: #0072b2; --orange: #c25600;
  --green: #008662; --pink: #a36186; --yellow: #9c6c00; --sky: #3b7ca1; --sky-line: #56b4e9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --paper: #16181b; --soft: #b0b0b0; --line: #44484d;
  --link: #8cc4f5; --lead: #1d2a36; --code: #22262a; --error: #ff9b5e; --blue: #4a93e8; --orange: #ff9a52;
  --green: #35c79b; --pink: #e3a3c7; --yellow: #f0b53a; --sky: #a5dbf9; --sky-line: #a5dbf9; } }
@media print { :root { color-scheme: light; --ink: #1b1b1b; --paper: #fff; --soft: #555; --line: #ddd; --link: #00508f;
  --lead: none; --code: #f6f6f6; --error: #a63d00; --blue: #0072b2; --orange: #c25600;
  --green: #008662; --pink: #a36186; --yellow: #9c6c00; --sky: #3b7ca1; --sky-line: #56b4e9; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--ink);
  background: var(--paper); margin: 0 auto; max-width: 1040px; padding: 1.2rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .5rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid #d55e00; outline-offset: 2px; }
.sub, .note { color: var(--soft); }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .8rem; margin: 0 0 1rem; font-size: .9rem; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.sub { margin: 0 0 1.2rem; }
.note { font-size: .9rem; }
.verdict { font-size: 1.2rem; line-height: 1.45; border-left: 5px solid #0072B2; background: var(--lead); margin: 0;
  padding: .8rem 1rem; }
.remarks { margin: .8rem 0 0; padding-left: 1.2rem; color: var(--soft); }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 1rem 0 0; }
.findings { border-left: 5px solid #0072B2; background: var(--lead); padding: .8rem 1rem; }
.findings h2 { margin: 0; border: 0; } .findings ul { padding-left: 1.2rem; margin: .4rem 0 0; }
.findings p { margin: .4rem 0 0; } .findings li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.wide img { width: 100%; min-width: 40rem; height: auto; display: block; }
table { border-collapse: collapse; font-size: .9rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
thead th { border-bottom: 2px solid var(--soft); vertical-align: bottom; font-weight: 600; }
tbody th { font-weight: 600; }
.left th, .left td { text-align: left; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 353px), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; }
.wide svg { min-width: var(--legible); }
figure svg, .wide img { background: #fff; border-radius: 4px; }
.themed { max-width: 36rem; } .themed svg { background: none; fill: currentColor; }
figcaption { font-size: .9rem; color: var(--soft); }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(116px, 1fr)); gap: .8rem; list-style: none;
  padding: 0; margin: .6rem 0; }
.gallery li { break-inside: avoid; font-size: .82rem; line-height: 1.35; overflow-wrap: anywhere; }
.gallery img { width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--code); display: block;
  border: 1px solid var(--line); }
.gallery .file { color: var(--soft); font-size: .75rem; }
.gallery li:target { outline: 3px solid #d55e00; outline-offset: 3px; }
.strips { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 400px), 1fr)); gap: 1rem 1.6rem;
  list-style: none; padding: 0; margin: .6rem 0; font-size: .82rem; line-height: 1.35; }
.strips li { break-inside: avoid; overflow-wrap: anywhere; }
.strips img { width: 100%; max-width: var(--strip); height: auto; display: block; border: 1px solid var(--line); }
.swatch { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border: 1px solid var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; list-style: none; padding: 0; margin: .4rem 0;
  font-size: .9rem; }
.matrix thead th:not(:first-child) { max-width: 9rem; white-space: normal; overflow-wrap: break-word; }
.matrix td a { color: inherit; } .matrix .zero { color: var(--soft); }
.filter { border: 0; padding: 0; margin: .6rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1rem; font-size: .9rem; }
.filter legend { color: var(--soft); padding: 0; }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { font-size: .8rem; background: var(--code); padding: .7rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media (max-width: 480px) { th, td { padding: .3rem .4rem; } }
@media print { body { max-width: none; font-size: 10.5pt; padding: 0; }
  .wide { overflow: visible; } nav, .filter { display: none; } .findings { background: none; }
  .wide svg { min-width: 0; }
  .wide img { width: auto; min-width: 0; max-width: 100%; max-height: 20cm; }
  section:has(.wide img) { break-inside: avoid; }
  table { font-size: 7.5pt; } th, td { padding: .2rem .3rem; white-space: normal; } h2, h3 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } .verdict { background: none; } th:first-child, td:first-child {
  position: static; } .gallery { grid-template-columns: repeat(6, 1fr); }
  td, th, .gallery img, .swatch { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
