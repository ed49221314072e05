"""The report as one self-contained HTML page: verdict, results, figures, protocol, and how to repeat the study."""

import html
from collections.abc import Iterable, Mapping
from typing import Any

import yaml
from matplotlib.figure import Figure

from descent.studies.config_overlay import map_paths, set_key
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.context import context, title
from descent.studies.report.population import population
from descent.studies.report.protocol import how_to_read, protocol
from descent.studies.report.remarks import remarks
from descent.studies.report.results_table import candidate_filter, details_table, results_table
from descent.studies.report.verdict import verdict
from descent.studies.running.planner import Plan
from foundation.html import details
from foundation.html.style import STYLE
from foundation.html.svg import captioned

COLOURS = """
:root { --better: #d6e9f7; --equal: #d9f0e4; --undecided: #eee; }
@media (prefers-color-scheme: dark) { :root { --better: #17405c; --equal: #174a37; --undecided: #34383d; } }
@media print { :root { --better: #d6e9f7; --equal: #d9f0e4; --undecided: #eee; } }
tr.better td, tr.worse td, .colours .better { background: var(--better); }
tr.equal td, .colours .equal { background: var(--equal); }
tr.undecided td, .colours .undecided { background: var(--undecided); }
.colours span { padding: .1rem .5rem; margin: 0 .2rem; }
.cards th, .cards td { white-space: normal; } .cards .whole { white-space: nowrap; }
.cards td:first-child { min-width: 7rem; }
@media (max-width: 960px) { .cards { font-size: .82rem; } .cards th, .cards td { padding: .3rem .35rem; } }
@media (max-width: 640px) { .cards, .cards tbody, .cards tr, .cards td { display: block; }
  .cards thead { display: none; }
  .cards tr { border-bottom: 2px solid var(--line); margin-bottom: .8rem; } .cards td { border: 0; text-align: right;
  overflow: hidden; } .cards td::before { content: attr(data-head); color: var(--soft); float: left;
  padding-right: .8rem; text-align: left; } .cards td:first-child { font-weight: 600; position: static; } }
"""
"""Colours of the decisions, beside which the words stand; on narrow screens each row of a table is a card."""

CAPTIONS = {
    "differences": "Each candidate against the baseline: one dot per round, the mean, and the interval that decides. "
    "Blue: better or worse; green: practically equal; grey: undecided.",
    "curves": "Validation: mean over the seeds; the band is the 95 % interval of the mean.",
    "curves_training": "Training: the same metric on the training data, with augmentation and dropout.",
    "sensitivity": "Sensitivity: one point per tuning trial. With a flat maximum the exact value matters little.",
    "expected_best": "Expected best score of k tuning trials: which candidate is ahead after little tuning.",
    "time": "Where a training step spends its time.",
}


def page(
    analysis: StudyAnalysis, figures: Mapping[str, Figure], plan: Plan | None, machines: Mapping[str, Any], command: str
) -> str:
    """Write the HTML of the page."""
    config = analysis.config
    facts = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in context(analysis).items())
    shown = "".join(captioned(figure, name, CAPTIONS[name]) for name, figure in figures.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title(analysis))}</title><link rel="icon" href="data:,"><style>{STYLE}{COLOURS}</style></head><body>
<h1>{html.escape(config.name)}</h1>
<dl class="facts">{facts}</dl>
<p class="verdict" id="verdict">{html.escape(verdict(analysis))}</p>
<p id="population">{html.escape(population(analysis))}</p>
{_list(remarks(analysis, plan), "remarks")}
<h2>Results</h2>
{candidate_filter(analysis)}
{results_table(analysis)}
{_key()}
<details open><summary>How to read this</summary>{_list(how_to_read(analysis))}</details>
<h2>Figures</h2>
<div class="figures">{shown}</div>
<h2>Settings and costs</h2>
{details_table(analysis)}
<h2>Protocol</h2>
{_list(protocol(analysis))}
<h2>How to repeat it</h2>
<pre>{html.escape(command)}</pre>
{details("Study", yaml.safe_dump(config.record(), sort_keys=False, allow_unicode=True))}
{details("Machine and versions", yaml.safe_dump(dict(machines), sort_keys=False, allow_unicode=True))}
{"".join(details(f"Whole config of {n}", _config_of(analysis, n)) for n in config.names)}
</body></html>
"""


def _list(sentences: Iterable[str], kind: str = "") -> str:
    items = "".join(f"<li>{html.escape(text)}</li>" for text in sentences)
    return f'<ul class="{kind}">{items}</ul>' if kind else f"<ul>{items}</ul>"


def _key() -> str:
    words = {"better": "better or worse", "equal": "practically equal", "undecided": "undecided"}
    cells = "".join(f'<span class="{name}">{words[name]}</span> ' for name in words)
    return f'<p class="note colours">Against the baseline: {cells}</p>'


def _config_of(analysis: StudyAnalysis, name: str) -> str:
    config = analysis.config.run_config(name)
    for key, value in (analysis.progress.best_point(name) or {}).items():
        set_key(config, key, value)
    short = map_paths(config, lambda path: path.rpartition("/configs/")[2])
    return yaml.safe_dump(short, sort_keys=False, allow_unicode=True)
