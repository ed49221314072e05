"""How near learning-rate finders come to the best rate of a grid, on problems they were and were not tuned on.

    python -m benchmarks.lr_problems [--sets tuned held_out] [--seeds 3] [--searches 1] [--fastai FOLDER] [--out FOLDER]
    python -m benchmarks.lr_problems.table [--out FOLDER]

Each problem is a run of 200 steps: a small network and data set, an optimizer, a batch size and a schedule
(`problems.py`). The judge is the validation loss at its end, the mean over `--seeds` seeds of weights and order, at
each rate of a grid with three rates a decade, which is continued until the best rate is not at its edge. The finders
are given other seeds. A rate that a finder picks is judged in the same way as those of the grid.

`--fastai` is a folder with fastai's own package, which no other part of Descent needs:

    pip install --target FOLDER --no-deps fastai fastcore "fastprogress<1.1" fasttransform plum-dispatch fastdownload

What is in FOLDER/losses.csv and FOLDER/searches.csv already is not repeated, so the command can be stopped and started
again. No times are measured, so the machine need not be idle.
"""

import csv
import logging
import math
import sys
import warnings
from pathlib import Path

import torch

from benchmarks.common.command_line import RESULTS, machine_line, parser
from benchmarks.lr_problems.finders import FINDERS
from benchmarks.lr_problems.problems import Problem, held_out, tuned
from benchmarks.lr_problems.training import losses

SETS = {"tuned": tuned, "held_out": held_out}
FIRST_SEARCH = 100  # seed of the finders' weights and order, which the grid has not
FINEST, COARSEST = -24, 6  # of the grid, in thirds of a decade: 1e-8 to 100


class Rows:
    """A CSV whose rows are looked up by their first columns, and appended.

    Args:
        path: Of the CSV.
        columns: Their names; the last ones are values.
        values: How many of them are values.
    """

    def __init__(self, path: Path, columns: str, values: int) -> None:
        self.path, self.values = path, values
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(columns + "\n")
        with path.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        self.known = {tuple(row[:-values]): [float(cell) for cell in row[-values:]] for row in rows}

    def add(self, key: tuple[str, ...], values: list[float]) -> list[float]:
        """Append a row."""
        self.known[key] = values
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*key, *(f"{value:.6g}" for value in values)])
        return values


def judged(known: Rows, problem: Problem, rate: float, seed: int) -> float:
    """Return the validation loss of a run."""
    key = (str(problem), f"{rate:.6g}", str(seed))
    return (known.known.get(key) or known.add(key, [losses(problem, rate, seed)[0]]))[0]


def grid(known: Rows, problem: Problem, seeds: int) -> None:
    """Judge a grid around the rate of the optimizer's preset, until the best is not at its edge."""
    centre = round(3 * math.log10(problem.default))
    means: dict[int, float] = {}

    def judge(place: int) -> None:
        if place not in means:
            means[place] = sum(judged(known, problem, 10 ** (place / 3), seed) for seed in range(seeds)) / seeds

    for place in range(centre - 4, centre + 7):
        judge(place)
    while True:
        best = min(means, key=lambda place: means[place])
        if best <= min(means) + 1 and min(means) > FINEST:
            judge(min(means) - 1)
        elif best >= max(means) - 1 and max(means) < COARSEST:
            judge(max(means) + 1)
        else:
            return


def search(found: Rows, known: Rows, problem: Problem, seeds: int, searches: int, names: list[str]) -> None:
    """Run the finders that are not recorded yet, and judge their picks."""
    for number in range(searches):
        for name in names:
            key = (str(problem), name, str(number))
            rate, _ = found.known.get(key) or found.add(key, list(FINDERS[name](problem, FIRST_SEARCH + number)))
            if rate == rate:
                for seed in range(seeds):
                    judged(known, problem, rate, seed)


def main() -> None:
    """Measure and append to the CSVs."""
    options = parser(__doc__, out=RESULTS / "lr_problems")
    options.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    options.add_argument("--seeds", type=int, default=3, help="seeds of the judge")
    options.add_argument("--searches", type=int, default=1, help="searches of each finder")
    options.add_argument("--fastai", help="folder with fastai's package; without it fastai is left out")
    arguments = options.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if arguments.fastai:
        sys.path.append(arguments.fastai)
    names = [name for name in FINDERS if name != "fastai" or arguments.fastai]
    print(machine_line(), "threads", torch.get_num_threads())
    known = Rows(arguments.out / "losses.csv", "problem,rate,seed,loss", 1)
    found = Rows(arguments.out / "searches.csv", "problem,finder,search,rate,steps", 2)
    for kind in arguments.sets:
        for problem in SETS[kind]():
            search(found, known, problem, arguments.seeds, arguments.searches, names)
            grid(known, problem, arguments.seeds)
            print(kind, problem, flush=True)


if __name__ == "__main__":
    main()
