"""The table of candidates on the page: one row each, the best first; columns that say nothing become a sentence."""

import html
import math
from collections.abc import Callable
from typing import NamedTuple

from descent.studies.report.analysis import CandidateSummary, StudyAnalysis
from descent.studies.report.pairs import Pair
from descent.studies.report.scale import Scale, enumerate_names, signed
from descent.studies.running.stages import FINAL


class Column(NamedTuple):
    """A column: its head as HTML, and the cells' texts; `zero` names what is 0 in a column that is left out."""

    head: str
    cell: Callable[[CandidateSummary], str]
    zero: str = ""


def results_table(analysis: StudyAnalysis) -> str:
    """Write the table as HTML, and a sentence about the columns in which every value is 0."""
    by_name = {summary.name: summary for summary in analysis.summaries}
    rows = [by_name[name] for name in analysis.ranking]
    columns = _columns(analysis)
    empty = [c for c in columns if c.zero and all(c.cell(row) == "0" for row in rows)]
    shown = [column for column in columns if column not in empty]
    head = "".join(f"<th>{column.head}</th>" for column in shown)
    body = "".join(_row(analysis, row, shown) for row in rows)
    nothing = f'<p class="note">0 for every candidate: {enumerate_names([c.zero for c in empty])}.</p>' if empty else ""
    return (
        '<div class="wide" role="region" aria-label="Results" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{nothing}"
    )


def _row(analysis: StudyAnalysis, summary: CandidateSummary, columns: list[Column]) -> str:
    pair = analysis.pairs.get((summary.name, analysis.config.baseline))
    kind = f' class="{pair.decision}"' if pair is not None else ""
    cells = "".join(f"<td>{html.escape(column.cell(summary))}</td>" for column in columns)
    return f"<tr{kind}>{cells}</tr>"


def _columns(analysis: StudyAnalysis) -> list[Column]:
    baseline, scale = analysis.config.baseline, Scale(analysis.metric)

    def against(text: Callable[[Pair], str]) -> Callable[[CandidateSummary], str]:
        def cell(summary: CandidateSummary) -> str:
            pair = analysis.pairs.get((summary.name, baseline))
            return "–" if pair is None else text(pair)

        return cell

    def decision(summary: CandidateSummary) -> str:
        return "baseline" if summary.name == baseline else against(lambda pair: pair.decision)(summary)

    columns = [
        Column("candidate", lambda s: s.name),
        Column("ties", lambda s: analysis.letters.get(s.name, "")),
        Column(f"{html.escape(analysis.metric)}<br>95 % interval", lambda s: _mean(s, scale)),
        Column(
            f"against {html.escape(baseline)}", against(lambda pair: _interval(pair.mean, pair.low, pair.high, scale))
        ),
        Column("decision", decision),
        Column("P(better)", against(lambda pair: "{:.2f} [{:.2f}, {:.2f}]".format(*map(float, pair.chance)))),
    ]
    if any(pair.settings is not None for pair in analysis.pairs.values()):
        columns.append(Column("with these<br>settings", against(lambda pair: _settings(pair, scale))))
    columns += [
        Column("rounds", lambda s: str(s.rounds)),
        Column("best setting", lambda s: _setting(analysis, s)),
        Column("steps to<br>target", lambda s: _to_target(analysis, s.name, "steps", "{:.0f}")),
    ]
    if analysis.timed:
        columns += [
            Column("seconds<br>to target", lambda s: _to_target(analysis, s.name, "seconds", "{:.1f}")),
            Column("seconds<br>per run", lambda s: f"{analysis.seconds(s.name):.1f}"),
        ]
    return [
        *columns,
        Column(
            "optimizer<br>bytes per<br>parameter",
            lambda s: f"{analysis.optimizer_bytes(s.name):.0f}",
            "optimizer bytes per parameter",
        ),
        Column("diverged", lambda s: _of(s.diverged, s.runs), "diverged runs"),
        Column("crashed", lambda s: _of(s.crashed, s.runs), "crashed runs"),
    ]


def _of(count: int, total: int) -> str:
    return f"{count} of {total}" if count else "0"


def _mean(summary: CandidateSummary, scale: Scale) -> str:
    if summary.mean is None:
        return "–"
    mean, low, high = (float(side) for side in summary.mean)
    if scale.percent:
        return f"{scale.value(mean)} [{scale.number(low)}, {scale.number(high)}]"
    return " ".join(signed(word) for word in f"{mean:.4g} [{low:.4g}, {high:.4g}]".split(" "))


def _interval(mean: float, low: float, high: float, scale: Scale) -> str:
    return f"{scale.number(mean)} [{scale.number(low)}, {scale.number(high)}]"


def _settings(pair: Pair, scale: Scale) -> str:
    if pair.settings is None:
        return "–"
    mean, low, high = map(float, pair.settings)
    return _interval(mean, low, high, scale)


def _setting(analysis: StudyAnalysis, summary: CandidateSummary) -> str:
    """Write the chosen values, as a range where the tunings chose different ones."""
    points = analysis.progress.points(summary.name)
    texts = []
    for key in summary.point or {}:
        low, high = (f"{pick(point[key] for point in points):.3g}" for pick in (min, max))
        texts.append(f"{key.rpartition('.')[2]} {low}" + (f" to {high}" if low != high else ""))
    return ", ".join(texts)


def _to_target(analysis: StudyAnalysis, name: str, clock: str, form: str) -> str:
    time, reached = analysis.to_target(name, clock)
    total = len(analysis.of(FINAL, name))
    if math.isnan(time):
        return "–"
    value = "not reached" if math.isinf(time) else form.format(time)
    return value if reached == total else f"{value} ({reached} of {total})"
