"""The tables of candidates on the page: a row each, the best first; columns that say nothing become a sentence."""

import html
import math
import re
from collections.abc import Callable
from typing import NamedTuple

from descent.studies.report.analysis import CandidateSummary, StudyAnalysis
from descent.studies.report.pairs import Pair
from descent.studies.report.scale import Scale, enumerate_names, signed
from descent.studies.running.stages import FINAL
from foundation.html.hover import hiding


class Column(NamedTuple):
    """A column: its head as HTML, and the cells' texts; `zero` names what is 0 in a column that is left out."""

    head: str
    cell: Callable[[CandidateSummary], str]
    zero: str = ""


def results_table(analysis: StudyAnalysis) -> str:
    """Write the table of scores and decisions as HTML."""
    return _table(analysis, _decisions(analysis), "Results")


def details_table(analysis: StudyAnalysis) -> str:
    """Write the table of settings and costs, and a sentence about the columns in which every value is 0."""
    columns = _details(analysis)
    empty = [c for c in columns if c.zero and all(c.cell(row) == "0" for row in analysis.summaries)]
    nothing = f'<p class="note">0 for every candidate: {enumerate_names([c.zero for c in empty])}.</p>' if empty else ""
    return _table(analysis, [column for column in columns if column not in empty], "Settings and costs") + nothing


def candidate_filter(analysis: StudyAnalysis) -> str:
    """Write boxes that hide a candidate in tables and figures; the page has no scripts. None for two candidates."""
    if len(analysis.config.names) < 3:
        return ""
    boxes, rules = "", ""
    for number, name in enumerate(analysis.config.names):
        boxes += f'<label><input type="checkbox" id="show-{number}" checked> {html.escape(name)}</label>'
        hidden = f":is(.of-{number}, {hiding(number)})"
        rules += f"body:has(#show-{number}:not(:checked)) {hidden} {{ display: none; }}\n"
    return f'<style>{rules}</style><fieldset class="filter"><legend>Show</legend>{boxes}</fieldset>'


def _table(analysis: StudyAnalysis, columns: list[Column], label: str) -> str:
    by_name = {summary.name: summary for summary in analysis.summaries}
    head = "".join(f"<th>{column.head}</th>" for column in columns)
    body = "".join(_row(analysis, by_name[name], columns) for name in analysis.ranking)
    return (
        f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table class="cards">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _row(analysis: StudyAnalysis, summary: CandidateSummary, columns: list[Column]) -> str:
    pair = analysis.pairs.get((summary.name, analysis.config.baseline))
    kind = f"{pair.decision} " if pair is not None else ""
    cells = "".join(f'<td data-head="{_plain(column.head)}">{_cell(column.cell(summary))}</td>' for column in columns)
    return f'<tr class="{kind}of-{analysis.config.names.index(summary.name)}">{cells}</tr>'


def _cell(text: str) -> str:
    """Write a cell, whose intervals are not broken over lines."""
    return re.sub(r"\[[^]]*\]", r'<span class="whole">\g<0></span>', html.escape(text))


def _plain(head: str) -> str:
    """Return a column's head as one line, for screens on which each row is a card."""
    return head.replace("<br>", " ")


def _decisions(analysis: StudyAnalysis) -> list[Column]:
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
    if analysis.new_images:
        columns.append(Column("on new<br>images", lambda s: _on_new_images(analysis, s.name, scale)))
    return [*columns, Column("rounds", lambda s: str(s.rounds))]


def _details(analysis: StudyAnalysis) -> list[Column]:
    columns = [
        Column("candidate", lambda s: s.name),
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


def _on_new_images(analysis: StudyAnalysis, name: str, scale: Scale) -> str:
    pair = analysis.new_images.get((name, analysis.config.baseline))
    return "–" if pair is None else f"[{scale.number(pair.low)}, {scale.number(pair.high)}]"


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
