"""The report as one self-contained HTML page: verdict, results, figures, protocol, and how to repeat the study."""

import html
import math
from collections.abc import Mapping
from typing import Any

import yaml
from matplotlib.figure import Figure

from descent.studies.config_overlay import map_paths, set_key
from descent.studies.report.analysis import CandidateSummary, StudyAnalysis
from descent.studies.report.context import context, title
from descent.studies.report.remarks import remarks
from descent.studies.report.scale import Scale, signed
from descent.studies.report.verdict import verdict
from descent.studies.running.planner import Plan
from descent.studies.running.stages import FINAL
from foundation.html import details
from foundation.html import svg as html_svg
from foundation.html.style import STYLE

CAPTIONS = {
    "differences": "Each candidate against the baseline: mean difference per round, with the interval that decides.",
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
    scale = Scale(analysis.metric)
    facts = "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in context(analysis).items())
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in remarks(analysis, plan))
    shown = "".join(_figure(name, figure) for name, figure in figures.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title(analysis))}</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>
<h1>{html.escape(config.name)}</h1>
<dl class="facts">{facts}</dl>
<p class="verdict" id="verdict">{html.escape(verdict(analysis))}</p>
<ul class="remarks">{notes}</ul>
<h2>Results</h2>
<div class="wide" role="region" aria-label="Results" tabindex="0">{_table(analysis)}</div>
<p class="sub">Two candidates share a letter unless one was found better. The interval of a mean is that of this
candidate alone. The interval against the baseline decides; all such intervals, of every pair and after every round,
have a joint confidence of 95 %. "better": it excludes 0; "equal": it lies within ±{scale.difference(analysis.delta)};
else undecided. P(better): probability that a run has a better score than the run of the baseline with the same seed,
with its own 95 % interval.
Target: the median of {html.escape(", ".join(config.targets))} at the end of the run, by {html.escape(config.metric)}.
</p>
<h2>Figures</h2>
<div class="figures">{shown}</div>
<h2>Protocol</h2>
{_protocol(analysis)}
<h2>How to repeat it</h2>
<pre>{html.escape(command)}</pre>
{details("Study", yaml.safe_dump(config.record(), sort_keys=False, allow_unicode=True))}
{details("Machine and versions", yaml.safe_dump(dict(machines), sort_keys=False, allow_unicode=True))}
{"".join(details(f"Whole config of {n}", _config_of(analysis, n)) for n in config.names)}
</body></html>
"""


def _config_of(analysis: StudyAnalysis, name: str) -> str:
    config = analysis.config.run_config(name)
    for key, value in (analysis.progress.best_point(name) or {}).items():
        set_key(config, key, value)
    short = map_paths(config, lambda path: path.rpartition("/configs/")[2])
    return yaml.safe_dump(short, sort_keys=False, allow_unicode=True)


def _figure(name: str, figure: Figure) -> str:
    caption = html.escape(CAPTIONS[name])
    return f'<figure id="{name}">{svg(figure, name)}<figcaption>{caption}</figcaption></figure>'


def svg(figure: Figure, name: str) -> str:
    """Write a figure as SVG for the page, with unique identifiers."""
    return html_svg(figure, name, CAPTIONS[name])


def _table(analysis: StudyAnalysis) -> str:
    scale = Scale(analysis.metric)
    by_name = {summary.name: summary for summary in analysis.summaries}
    timed = analysis.timed
    head = [
        "candidate",
        "ties",
        f"{analysis.metric}<br>95 % interval",
        f"against {html.escape(analysis.config.baseline)}",
        "decision",
        "P(better)",
    ]
    head += ["best setting", "steps to<br>target"]
    head += ["seconds<br>to target", "seconds<br>per run"] if timed else []
    head += ["optimizer<br>bytes per<br>parameter", "diverged", "crashed"]
    body = "".join(_row(analysis, by_name[name], scale, timed) for name in analysis.ranking)
    return f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{body}</tbody></table>"


def _row(analysis: StudyAnalysis, summary: CandidateSummary, scale: Scale, timed: bool) -> str:
    name = summary.name
    cells = [name, analysis.letters.get(name, ""), _mean(summary, scale), *_against(analysis, name, scale)]
    cells += [", ".join(f"{key.rpartition('.')[2]} {value:.3g}" for key, value in (summary.point or {}).items())]
    cells += [_to_target(analysis, name, "steps", "{:.0f}")]
    if timed:
        cells += [_to_target(analysis, name, "seconds", "{:.1f}"), f"{analysis.seconds(name):.1f}"]
    failed = [f"{count} of {summary.runs}" if count else "0" for count in (summary.diverged, summary.crashed)]
    cells += [f"{analysis.optimizer_bytes(name):.0f}", *failed]
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _same(analysis: StudyAnalysis) -> str:
    """Say what was checked to be the same in runs with the same seed."""
    checked = zip(("initial weights", "first batch"), analysis.pairing(), strict=True)
    same = [what for what, equal in checked if equal]
    return f"; checked to be the same: {' and '.join(same)}" if same else ""


def _mean(summary: CandidateSummary, scale: Scale) -> str:
    if summary.mean is None:
        return "–"
    mean, low, high = (float(side) for side in summary.mean)
    if scale.percent:
        return f"{scale.value(mean)} [{scale.number(low)}, {scale.number(high)}]"
    return signed(f"{mean:.4g} [{low:.4g}, {high:.4g}]")


def _against(analysis: StudyAnalysis, name: str, scale: Scale) -> list[str]:
    if name == analysis.config.baseline:
        return ["baseline", "", ""]
    pair = analysis.pairs.get((name, analysis.config.baseline))
    if pair is None:
        return ["–", "–", "–"]
    chance = f"{pair.chance.share:.2f} [{pair.chance.low:.2f}, {pair.chance.high:.2f}]"
    return [f"{scale.number(pair.mean)} [{scale.number(pair.low)}, {scale.number(pair.high)}]", pair.decision, chance]


def _to_target(analysis: StudyAnalysis, name: str, clock: str, form: str) -> str:
    time, reached = analysis.to_target(name, clock)
    total = len(analysis.of(FINAL, name))
    if math.isnan(time):
        return "–"
    value = "not reached" if math.isinf(time) else form.format(time)
    return value if reached == total else f"{value} ({reached} of {total})"


def _protocol(analysis: StudyAnalysis) -> str:
    config = analysis.config
    searched = ", ".join(f"{key} (default ÷ {f:g} to × {f:g})" for key, f in config.search.items()) or "nothing"
    tuning = (
        f"Tuned: {searched}, {analysis.trials} trials each, log-uniform and quasi-random around each candidate's own "
        "default; if the best value was at the edge of the range, the last third of the trials went beyond it."
        if analysis.trials > 1
        else "Nothing was tuned: every candidate ran with its own default."
    )
    items = [
        tuning,
        f"The best trial was chosen by {config.metric} at the end of the run.",
        f"Final runs: at most {analysis.seeds} new seeds, the same for all candidates{_same(analysis)}.",
        f"Judged by {analysis.metric}"
        + (", computed once at the end of each final run." if analysis.metric.startswith("test/") else "."),
        "Runs of the candidates alternated. Validation is not timed, and only runs on an otherwise idle machine are.",
        "The intervals hold for the chosen settings: tuning with other seeds may choose others.",
        f"The verdict is about new training runs, measured on the same data for {analysis.metric}: how other test data "
        "would move the values is not in the intervals.",
    ]
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"
