"""The report as one self-contained page: verdict first, figures inside, nothing fetched from anywhere."""

import html
import math
from collections.abc import Mapping
from typing import Any

import yaml
from matplotlib.figure import Figure

from descent.studies.report.results import Rival, StudyTables
from descent.studies.report.verdict import Scale, remarks, verdict
from descent.studies.running.planner import Plan
from foundation.html import details
from foundation.html import svg as html_svg
from foundation.html.style import STYLE

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
<title>{html.escape(config.name)}: comparison</title><link rel="icon" href="data:,"><style>{STYLE}</style></head><body>
<h1>{html.escape(config.name)}</h1>
<p class="sub">{len(config.names)} candidates by {html.escape(judged)}</p>
<p class="verdict" id="verdict">{html.escape(verdict(tables))}</p>
<ul class="remarks">{notes}</ul>
<h2>Results</h2>
<div class="wide" role="region" aria-label="Results" tabindex="0">{_table(tables)}</div>
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
{details("Study", yaml.safe_dump(config.record(), sort_keys=False, allow_unicode=True))}
{details("Machine and versions", yaml.safe_dump(dict(machines), sort_keys=False, allow_unicode=True))}
{"".join(details(f"Whole config of {n}", _config_of(tables, n)) for n in config.names)}
</body></html>
"""


def _config_of(tables: StudyTables, name: str) -> str:
    from descent.studies.config_overlay import lay

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


def _figure(name: str, figure: Figure) -> str:
    caption = html.escape(CAPTIONS[name])
    return f'<figure id="{name}">{svg(figure, name)}<figcaption>{caption}</figcaption></figure>'


def svg(figure: Figure, name: str) -> str:
    """A figure as SVG to stand inside a page, with identifiers of its own."""
    return html_svg(figure, name, CAPTIONS[name])


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
