"""The report as one self-contained page: verdict first, figures inside, nothing fetched from anywhere."""

import html
import io
import math
import re
from collections.abc import Mapping
from typing import Any

import yaml
from matplotlib.figure import Figure

from studies.planner import Plan
from studies.results import Rival, StudyTables
from studies.verdict import Scale, remarks, verdict

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1b1b1b; background: #fff;
  margin: 0 auto; max-width: 1040px; padding: 1.2rem 1rem 3rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .3rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #ddd; padding-bottom: .2rem; }
.sub { color: #555; margin: 0 0 1.2rem; }
.verdict { font-size: 1.2rem; line-height: 1.45; border-left: 5px solid #0072B2; background: #f2f7fb; margin: 0;
  padding: .8rem 1rem; }
.remarks { margin: .8rem 0 0; padding-left: 1.2rem; color: #333; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .35rem .7rem; text-align: right; border-bottom: 1px solid #e4e4e4; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: #fff; }
thead th { border-bottom: 2px solid #999; vertical-align: bottom; font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 1.2rem 1.6rem; }
figure { margin: 0; break-inside: avoid; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: .9rem; color: #444; }
details { margin: .5rem 0; }
summary { cursor: pointer; font-weight: 600; }
pre { font-size: .8rem; background: #f6f6f6; padding: .7rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
@media print { body { max-width: none; font-size: 10.5pt; padding: 0; } .wide { overflow: visible; }
  table { font-size: 7.5pt; } th, td { padding: .2rem .3rem; white-space: normal; } h2 { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; } .verdict { background: none; } th:first-child, td:first-child {
  position: static; } }
"""

CAPTIONS = {
    "differences": "Each candidate against the baseline: mean of the seed-by-seed differences with its 95 % interval.",
    "curves": "Validation: mean over the seeds; the band is the 95 % interval of the mean.",
    "curves_training": "Training: the same metric on the training data, as training sees it.",
    "sensitivity": "Sensitivity: one point a tuning trial. A flat top forgives a careless choice.",
    "expected_best": "Expected best of k tuning trials: who is ahead when little is tuned.",
    "time": "Where a training step spends its time.",
}


def page(
    tables: StudyTables, figures: Mapping[str, Figure], plan: Plan | None, machines: Mapping[str, Any], command: str
) -> str:
    """The page's HTML."""
    config = tables.config
    judged = f"{tables.metric}, {tables.trials} tuning trials and {tables.seeds} seeds a candidate"
    notes = "".join(f"<li>{html.escape(text)}</li>" for text in remarks(tables, plan))
    shown = "".join(_figure(name, figure) for name, figure in figures.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(config.name)}: comparison</title><style>{STYLE}</style></head><body>
<h1>{html.escape(config.name)}</h1>
<p class="sub">{len(config.names)} candidates by {html.escape(judged)}</p>
<p class="verdict" id="verdict">{html.escape(verdict(tables))}</p>
<ul class="remarks">{notes}</ul>
<h2>Results</h2>
<div class="wide">{_table(tables)}</div>
<p class="sub">Candidates that share a letter tie. p: paired t-test after Holm's correction over all pairs, which
decides; an interval stands alone and may leave out 0 where the correction says tie.
Target: the median of {html.escape(", ".join(config.targets))} at the end of the run, by {html.escape(config.metric)}.
</p>
<h2>Figures</h2>
<div class="figures">{shown}</div>
<h2>Protocol</h2>
{_protocol(tables)}
<h2>To repeat it</h2>
<pre>{html.escape(command)}</pre>
{_details("Study", yaml.safe_dump(config.record(), sort_keys=False, allow_unicode=True))}
{_details("Machine and versions", yaml.safe_dump(dict(machines), sort_keys=False, allow_unicode=True))}
{"".join(_details(f"Whole config of {n}", _config_of(tables, n)) for n in config.names)}
</body></html>
"""


def _config_of(tables: StudyTables, name: str) -> str:
    from studies.merging import lay

    config = tables.config.run_config(name)
    for key, value in (tables.progress.chosen(name) or {}).items():
        lay(config, key, value)
    return yaml.safe_dump(_without_folders(config), sort_keys=False, allow_unicode=True)


def _without_folders(value: Any) -> Any:
    """Presets by the name that they have everywhere, not by where this machine keeps them."""
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if isinstance(value, str) and value.endswith((".yaml", ".yml")) and "/configs/" in value:
        return value.rpartition("/configs/")[2]
    return value


def _details(title: str, text: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary><pre>{html.escape(text)}</pre></details>"


def _figure(name: str, figure: Figure) -> str:
    caption = html.escape(CAPTIONS[name])
    return f'<figure id="{name}">{svg(figure, name)}<figcaption>{caption}</figcaption></figure>'


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand inside a page, with identifiers of its own."""
    import matplotlib as mpl

    target = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'\b(id=")', rf"\1{name}-", text)
    text = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", text)
    return re.sub(r"<svg ", f'<svg role="img" aria-label="{html.escape(CAPTIONS[name])}" ', text, count=1)


def _table(tables: StudyTables) -> str:
    scale = Scale(tables.metric)
    by_name = {rival.name: rival for rival in tables.rivals}
    timed = tables.timed
    head = ["candidate", "ties", f"{tables.metric}<br>95 % interval", f"against {html.escape(tables.config.baseline)}"]
    head += [
        "p",
        "best setting",
        "steps to<br>target",
        *(["seconds<br>to target", "seconds<br>a run"] if timed else []),
    ]
    head += ["optimizer<br>bytes a<br>parameter", "diverged", "crashed"]
    body = "".join(_row(tables, by_name[str(name)], scale, timed) for name in tables.table.index)
    return f"<table><thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead><tbody>{body}</tbody></table>"


def _row(tables: StudyTables, rival: Rival, scale: Scale, timed: bool) -> str:
    row = tables.table.loc[rival.name]
    cells = [rival.name, str(row["group"]), _mean(rival, scale), *_against(tables, rival.name, scale)]
    cells += [", ".join(f"{key.rpartition('.')[2]} {value:.3g}" for key, value in (rival.point or {}).items())]
    cells += [_to_target(tables, rival.name, "steps", "{:.0f}")]
    if timed:
        cells += [_to_target(tables, rival.name, "seconds", "{:.1f}"), f"{tables.seconds(rival.name):.1f}"]
    failed = [f"{count} of {rival.runs}" if count else "0" for count in (rival.diverged, rival.crashed)]
    cells += [f"{row['optimizer_bytes_per_parameter']:.0f}", *failed]
    return f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"


def _mean(rival: Rival, scale: Scale) -> str:
    if rival.mean is None:
        return "–"
    mean, low, high = (float(side) for side in rival.mean)
    if scale.percent:
        return f"{100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{mean:.4g} [{low:.4g}, {high:.4g}]"


def _against(tables: StudyTables, name: str, scale: Scale) -> list[str]:
    if name == tables.config.baseline:
        return ["baseline", ""]
    found = tables.difference(name, tables.config.baseline)
    if found is None:
        return ["–", "–"]
    mean, low, high, p = found
    factor, form = (100, "{:+.1f}") if scale.percent else (1, "{:+.3g}")
    values = [form.format(factor * value).replace("-", "−") for value in (mean, low, high)]
    return [f"{values[0]} [{values[1]}, {values[2]}]", "< 0.001" if p < 0.001 else f"{p:.3f}"]


def _to_target(tables: StudyTables, name: str, clock: str, form: str) -> str:
    time, reached = tables.to_target(name, clock)
    total = len(tables.of("rerun", name))
    if math.isnan(time):
        return "–"
    value = "not reached" if math.isinf(time) else form.format(time)
    return value if reached == total else f"{value} ({reached} of {total})"


def _protocol(tables: StudyTables) -> str:
    config = tables.config
    searched = ", ".join(f"{key} (default ÷ {f:g} to × {f:g})" for key, f in config.search.items()) or "nothing"
    tuning = (
        f"Tuned: {searched}, {tables.trials} trials each, log-uniform and quasi-random around each candidate's own "
        "default; the last third of them goes beyond the range where its edge was best."
        if tables.trials > 1
        else "Nothing was tuned: every candidate ran with its own default."
    )
    items = [
        tuning,
        f"Chosen by {config.metric} at the end of a run.",
        f"Run again with {tables.seeds} fresh seeds, the same for all: same initial weights, same batches.",
        f"Judged by {tables.metric}" + (", opened once by each re-run." if tables.metric.startswith("test/") else "."),
        "Candidates took turns. Evaluation is not timed, and seconds count only where a run had the machine to itself.",
        "Intervals hold for the settings that were chosen: another tuning, with other seeds, may choose others.",
        "Equal budgets: the same number of trials, seeds and steps for each candidate.",
    ]
    return f"<ul>{''.join(f'<li>{html.escape(item)}</li>' for item in items)}</ul>"
