"""Tables of `benchmarks.lr_problems`: a line a finder, and a line a problem.

    python -m benchmarks.lr_problems.table [--out FOLDER]

The lines of problems have each pick as a multiple of the best rate and, in parentheses, its loss as a multiple of the
lowest of the grid. The best rate is that of the grid with the lowest mean validation loss. A pick is near if it is
within a factor of 3 of
that rate, and good if its mean validation loss is at most 10 % above the lowest of the grid. Problems without a
complete grid are left out. The tables are printed and written to FOLDER/tables.md.
"""

import math
from pathlib import Path

import pandas as pd

from benchmarks.common.command_line import RESULTS, parser
from benchmarks.lr_problems.finders import FINDERS
from benchmarks.lr_problems.problems import Problem, held_out, tuned

NEAR, GOOD = 3.0, 1.1


def judged(losses: pd.DataFrame) -> pd.DataFrame:
    """Return the mean loss by problem and rate, of the rates that all seeds were judged at."""
    counted = losses.groupby(["problem", "rate"])["loss"].agg(["mean", "count"]).reset_index()
    most = int(counted["count"].max())
    return counted[counted["count"] == most]


def is_of_grid(rate: float) -> bool:
    """Return whether a rate is one of the grid's, to the digits that are stored."""
    place = 3 * math.log10(rate)
    return abs(place - round(place)) < 1e-4


def outcomes(folder: Path, problems: list[Problem]) -> pd.DataFrame:
    """Return a row a search: problem, finder, steps, best, factor, excess, near, good."""
    means = judged(pd.read_csv(folder / "losses.csv"))
    searches = pd.read_csv(folder / "searches.csv")
    rows = []
    for problem in map(str, problems):
        own = means[means["problem"] == problem]
        grid = own[[is_of_grid(rate) for rate in own["rate"]]]
        if grid.empty:
            continue
        best = grid.sort_values("mean").iloc[0]
        for _, found in searches[searches["problem"] == problem].iterrows():
            at = own[abs(own["rate"] / found["rate"] - 1) < 1e-5]["mean"]
            factor = found["rate"] / best["rate"]
            excess = float(at.iloc[0]) / best["mean"] if len(at) else math.inf
            near = 1 / NEAR <= factor <= NEAR
            rows.append(
                {
                    "problem": problem, "finder": found["finder"], "steps": found["steps"], "best": best["rate"],
                    "factor": factor, "excess": excess, "near": near, "good": excess <= GOOD,
                    "both": near and excess <= GOOD,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def by_finder(rows: pd.DataFrame) -> list[str]:
    """Return the lines of the table of finders."""
    lines = [
        "| finder | within 3 of the best rate | loss at most 10 % above the best | both | median factor off "
        "| median loss above the best | steps at most |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in FINDERS:
        own = rows[rows["finder"] == name]
        if own.empty:
            continue
        count = len(own)
        off = math.exp(own["factor"].map(lambda factor: abs(math.log(factor)) if factor > 0 else math.inf).median())
        cells = [f"{int(own[kind].sum())} of {count}" for kind in ("near", "good", "both")]
        excess = f"{100 * (own['excess'].median() - 1):.0f} %"
        lines.append(f"| {name} | {' | '.join(cells)} | {off:.1f} | {excess} | {int(own['steps'].max())} |")
    return lines


def by_problem(rows: pd.DataFrame) -> list[str]:
    """Return the lines of the table of problems: the factor of each finder, and the loss relative to the best."""
    names = [name for name in FINDERS if name in set(rows["finder"])]
    lines = ["| problem | best | " + " | ".join(names) + " |", "| --- |" + " --- |" * (len(names) + 1)]
    for problem in dict.fromkeys(rows["problem"]):
        own = rows[rows["problem"] == problem].set_index("finder")
        cells = []
        for finder in names:
            each = own.loc[[finder]]
            cells.append(", ".join(f"{f:.2g} ({e:.2f})" for f, e in zip(each["factor"], each["excess"], strict=True)))
        name, optimizer, batch, schedule = problem.split(" | ")
        words = f"{name}; {optimizer}, batch {batch}, {schedule}"
        lines.append(f"| {words} | {own['best'].iloc[0]:.2g} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print and write the tables."""
    folder = parser(__doc__, out=RESULTS / "lr_problems").parse_args().out
    parts = []
    for title, problems in (("Held out", held_out()), ("Tuned on", tuned())):
        rows = outcomes(folder, problems)
        if len(rows):
            parts += [f"## {title}, {rows['problem'].nunique()} problems", "\n".join(by_finder(rows))]
            parts.append("\n".join(by_problem(rows)))
    text = "\n\n".join(["# Learning-rate finders against a grid", *parts]) + "\n"
    (folder / "tables.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
