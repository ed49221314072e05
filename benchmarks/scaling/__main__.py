"""Efficiency of two processes of one thread against one process of two threads, and what the cost model predicts.

    python -m benchmarks.scaling [--rounds 12] [--steps 6] [--batch 250] [--out benchmarks/results]

The CIFAR-10 network with the precision of its preset, the same global batch, gloo. The contestants run in turns for
some steps each; a ratio is the geometric mean over the rounds with its 95 % interval. It needs two idle cores.
"""

from typing import NamedTuple

from benchmarks.common.command_line import RESULTS, machine_line, parser, write_csv
from benchmarks.common.paired import Ratio, paired_ratio
from benchmarks.scaling.model import Cluster, predict
from benchmarks.scaling.processes import measure, network


class Row(NamedTuple):
    """A measured or predicted quantity."""

    what: str
    value: float
    low: float
    high: float
    rounds: int


def evaluate(times: dict[str, list[float]]) -> list[Row]:
    """Compute the efficiencies, and what the cost model predicts from the parts."""
    efficiency = paired_ratio(times["one process"], times["together"])
    scaling = paired_ratio(times["alone"], times["together"])
    bytes_of = 4 * sum(p.numel() for p in network().parameters())
    middle = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
    bandwidth = bytes_of / middle["averaging"]  # in a ring of two, 2 (2 − 1) / 2 of the bytes pass each link
    model = predict(middle["alone"], bytes_of, Cluster(2, bandwidth))
    said: dict[str, Ratio] = {
        "efficiency: 1 process × 2 threads / 2 processes × 1 thread": efficiency,
        "efficiency: a process alone / two together": scaling,
    }
    rows = [Row(name, ratio.middle, ratio.low, ratio.high, ratio.rounds) for name, ratio in said.items()]
    rows.append(Row("the same, predicted by the cost model", model.efficiency, 0.0, 0.0, scaling.rounds))
    seconds = {f"seconds, {name}": value for name, value in middle.items()} | {"bytes a second": bandwidth}
    return rows + [Row(name, value, 0.0, 0.0, scaling.rounds) for name, value in seconds.items()]


def main() -> None:
    """Measure, print, write."""
    options = parser(__doc__, rounds=12, out=RESULTS)
    options.add_argument("--steps", type=int, default=6, help="steps per round")
    options.add_argument("--batch", type=int, default=250, help="global batch size")
    arguments = options.parse_args()
    rows = evaluate(measure(arguments.rounds, arguments.steps, arguments.batch))
    print(machine_line())
    for row in rows:
        interval = f"  ({row.low:.3f} to {row.high:.3f})" if row.low else ""
        print(f"{row.value:12.4g}{interval}  {row.what}")
    write_csv(rows, arguments.out / "scaling.csv")


if __name__ == "__main__":
    main()
