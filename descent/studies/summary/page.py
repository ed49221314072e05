"""The page about several studies: mean ranks, the profiles, and the costs in each study."""

import html
import math
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from descent.studies.report.end_labels import EndLabels
from descent.studies.report.figures import COLORS, HEIGHT, WIDTH
from descent.studies.report.scale import Scale
from descent.studies.summary.profiles import Ranks, costs_of, mean_ranks, profile, ratios_of
from descent.studies.summary.read import StudyScores
from foundation.figure_style import panels
from foundation.html import document, note, section, table
from foundation.html.svg import captioned

CAPTION = (
    "Performance profiles: the share of studies in which a candidate's error is at most so many times that of the best "
    "one. At the left end: how often it is the best; the further up and left, the better."
)


class Summary(NamedTuple):
    """Several studies with the same candidates."""

    names: list[str]
    studies: list[StudyScores]
    ranks: Ranks
    ratios: Any
    """Shape (studies, candidates): cost over that of the study's best."""

    @property
    def order(self) -> list[int]:
        """Numbers of the candidates by mean rank, the best first."""
        return [int(number) for number in np.argsort(self.ranks.mean, kind="stable")]

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        return {
            "studies": [study.name for study in self.studies],
            "candidates": [
                {
                    "candidate": self.names[c],
                    "mean_rank": float(self.ranks.mean[c]),
                    "mean_rank_low": float(self.ranks.low[c]),
                    "mean_rank_high": float(self.ranks.high[c]),
                    "best_in": int((self.ratios[:, c] == 1).sum()),
                    "largest_ratio": float(self.ratios[:, c].max()),
                }
                for c in self.order
            ],
            "ratios": {
                study.name: dict(zip(self.names, map(float, row), strict=True))
                for study, row in zip(self.studies, self.ratios, strict=True)
            },
        }


def summarise(names: list[str], studies: list[StudyScores]) -> Summary:
    """Compute ranks and ratios."""
    return Summary(names, studies, mean_ranks(studies), ratios_of(costs_of(studies)))


def scope(summary: Summary) -> str:
    """Say what the intervals are about."""
    count = len(summary.studies)
    if summary.ranks.over_studies:
        return f"The intervals hold for further studies of which these {count} are a random sample."
    return (
        f"The intervals are about further rounds of these {count} studies: with fewer than 5 nothing is said of other "
        "data or networks."
    )


def sentences(summary: Summary) -> list[str]:
    """Say the mean rank of each candidate, and where its interval is separate from that of the best one."""
    ranks, (first, *others) = summary.ranks, summary.order
    lines = [
        f"Over {len(summary.studies)} studies {summary.names[first]} has the smallest mean rank, {_rank(ranks, first)}."
    ]
    near = [summary.names[c] for c in others if ranks.low[c] <= ranks.high[first]]
    if near:
        lines.append(f"Its interval overlaps that of {', '.join(near)}: the order of these is not certain.")
    return [*lines, scope(summary)]


def _rank(ranks: Ranks, c: int) -> str:
    return f"{ranks.mean[c]:.2f} [{ranks.low[c]:.2f}, {ranks.high[c]:.2f}]"


def summary_page(summary: Summary) -> str:
    """Write the HTML of the page."""
    lead = f'<p class="verdict">{html.escape(" ".join(sentences(summary)))}</p>'
    rows = [
        (
            summary.names[c],
            _rank(summary.ranks, c),
            f"{(summary.ratios[:, c] == 1).sum()} of {len(summary.studies)}",
            _ratio(summary.ratios[:, c].max()),
        )
        for c in summary.order
    ]
    ranks = table("Mean ranks", ["candidate", "mean rank, 95 % interval", "best in", "largest ratio"], rows)
    reading = note(
        "The rank in a study is by the mean of its rounds, 1 is the best; equal means share a rank. The ratio divides "
        "a candidate's error by that of the study's best one; of accuracy and other shares the error is 1 − share. "
        "A rank says nothing of the size of a difference: for that see each study's own page."
    )
    drawn = captioned(profiles(summary), "profiles", CAPTION)
    head = ["study", "judged by", *(summary.names[c] for c in summary.order)]
    each = [
        (study.name, study.metric, *(_value(study, c, row[c]) for c in summary.order))
        for study, row in zip(summary.studies, summary.ratios, strict=True)
    ]
    return document(
        f"{len(summary.studies)} studies: {' vs '.join(summary.names)}",
        ", ".join(study.name for study in summary.studies),
        lead,
        [
            section("ranks", "Mean ranks", ranks + reading),
            section("profile", "Performance profiles", drawn),
            section("studies", "Each study: mean score, and the ratio of errors", table("Studies", head, each)),
        ],
    )


def _ratio(value: float) -> str:
    return "failed" if math.isinf(value) else f"{value:.2f}"


def _value(study: StudyScores, c: int, ratio: float) -> str:
    row = study.scores[c]
    known = row[np.isfinite(row)]
    return f"{Scale(study.metric).value(float(known.mean()))} ({_ratio(ratio)})" if len(known) else "failed"


def profiles(summary: Summary) -> Figure:
    """Draw the performance profiles as steps on a log axis."""
    finite = summary.ratios[np.isfinite(summary.ratios)]
    end = max(1.1, float(finite.max()) * 1.05)
    at = np.unique(np.concatenate([[1.0], finite, [end]]))
    figure, (axes,) = panels(size=(WIDTH, HEIGHT))
    axes.set(xlabel="ratio to the best error (log axis)", ylabel="share of studies", xscale="log", xlim=(1.0, end))
    axes.set_ylim(-0.02, 1.04)
    axes.tick_params(axis="x", which="both", length=3, pad=3)
    labels = EndLabels(axes, summary.names)
    for c, (name, line) in enumerate(zip(summary.names, profile(summary.ratios, at), strict=True)):
        color = COLORS[c % len(COLORS)]
        drawn = axes.plot(at, line, drawstyle="steps-post", color=color, linewidth=1.6)[0]
        labels.add(name, float(line[-1]), color, drawn, f"{100 * float(line[-1]):.0f} % of the studies")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(lambda value, _: f"{value:g}" if end < 4 else "")
    labels.write()
    return figure
