"""How often the intervals of the tested images and of new images contain the true difference.

    python -m benchmarks.studies.new_images [--count 2000] [--out FOLDER]

Two candidates answer test images rightly or wrongly in each round of a study; after the looks of `descent compare` its
two intervals are compared with three truths that are known:

- `normal`, `normal, 98 %`: an image is answered rightly if a normal score is above 0, the sum of how hard the image is,
  how hard for this candidate (0.7 standard deviations of a single answer's noise), of the round and candidate (`spread`
  of rounds), and of noise. The truth follows from the normal distribution.
- `digits`: real answers. SGD with two learning rates trains a small network on 400 digits with 200 seeds each, and is
  tested on the other 1,397. A study draws seeds and images from these with replacement, so that the truth is the mean
  over all of them.

The columns: `these`, the first interval contains the difference on the images that were tested; `first_on_new`, it
contains the difference over all images; `new`, the second interval contains that; mean widths of both in points.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.datasets import load_digits

from benchmarks.common.command_line import RESULTS, parser, row_line, write_csv
from benchmarks.studies.plain import BATCH, MOMENTUM, TinyNetwork
from benchmarks.studies.surface import Floats
from descent.studies.statistics.new_images import image_error
from descent.studies.statistics.sequential_test import decide

OF_CANDIDATE, OF_ANSWER, SHIFT = 0.7, 0.7, 0.2
TRAINED, SEEDS, EPOCHS = 400, 200, 6
Answers = NDArray[np.bool_]


class Drawn(NamedTuple):
    """One study."""

    right: Answers
    """Shape (2, rounds, images)."""
    these: float
    """True difference on its images."""


class Row(NamedTuple):
    """Results of one kind of study."""

    kind: str
    spread: float
    rounds: int
    images: int
    accuracy: float
    these: float
    first_on_new: float
    new: float
    first_width: float
    new_width: float


def normal(rounds: int, images: int, level: float, hard: float, spread: float) -> tuple[float, Iterator[Drawn]]:
    """Return the true difference over all images, and draw studies without an end."""
    rng = np.random.default_rng(0)
    levels = np.array([level + SHIFT, level])
    noise = np.hypot(spread, OF_ANSWER)
    everything = np.sqrt(hard**2 + OF_CANDIDATE**2 + noise**2)

    def draw() -> Iterator[Drawn]:
        while True:
            own = hard * rng.normal(size=(1, images)) + OF_CANDIDATE * rng.normal(size=(2, images)) + levels[:, None]
            scores = own[:, None] + spread * rng.normal(size=(2, rounds, 1))
            right = scores + OF_ANSWER * rng.normal(size=(2, rounds, images)) > 0
            yield Drawn(right, difference(norm.cdf(own / noise)))

    return difference(norm.cdf(levels / everything)[:, None]), draw()


def real(answers: Answers, rounds: int, images: int) -> tuple[float, Iterator[Drawn]]:
    """Return the difference over all seeds and images, and draw studies from them without an end."""
    rng = np.random.default_rng(0)

    def draw() -> Iterator[Drawn]:
        while True:
            which = rng.integers(answers.shape[2], size=images)
            seeds = rng.integers(answers.shape[1], size=rounds)
            yield Drawn(answers[:, seeds][:, :, which], difference(answers[:, :, which]))

    return difference(answers), draw()


def difference(right: Floats | Answers) -> float:
    """Return the mean difference of two candidates, whose answers are along the first axis."""
    return float(right[0].mean() - right[1].mean())


def measure(kind: str, spread: float, truth: float, drawn: Iterator[Drawn], count: int) -> Row:
    """Compute both intervals of many studies."""
    studies = [next(drawn) for _ in range(count)]
    right = np.stack([study.right for study in studies])
    rounds, images = right.shape[2:]
    errors = np.array([[image_error(study[0].astype(np.float64) - study[1])] for study in right])
    scores, step = right.mean(axis=-1), 1 / images
    first, new = (decide(scores, rounds, 0.0, step=step, image_errors=each) for each in (0.0, errors))
    these = np.array([[study.these] for study in studies])
    return Row(
        kind,
        spread,
        rounds,
        images,
        float(right.mean()),
        held(first.low, first.high, these),
        held(first.low, first.high, truth),
        held(new.low, new.high, truth),
        float(100 * (first.high - first.low).mean()),
        float(100 * (new.high - new.low).mean()),
    )


def held(low: Floats, high: Floats, truth: Floats | float) -> float:
    """Return the share of intervals that contain the truth."""
    return float(((low <= truth) & (truth <= high)).mean())


def digit_answers(seeds: int = SEEDS) -> Answers:
    """Train with two learning rates, and return which test images are right, `(2, seeds, images)`."""
    images, targets = load_digits(return_X_y=True)
    x = torch.from_numpy(((images - images.mean()) / images.std()).astype(np.float32))
    y = torch.from_numpy(targets)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    rows, tested = order[:TRAINED], order[TRAINED:]
    found = [
        [_answers(lr, seed, x[rows], y[rows], x[tested], y[tested]) for seed in range(seeds)] for lr in (0.2, 0.05)
    ]
    return np.array(found)


def _answers(
    lr: float, seed: int, x: torch.Tensor, y: torch.Tensor, images: torch.Tensor, targets: torch.Tensor
) -> Answers:
    torch.manual_seed(seed)
    network = TinyNetwork()
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=MOMENTUM)
    for _ in range(EPOCHS):
        for batch in torch.split(torch.randperm(len(x)), BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        return np.asarray((network(images).argmax(dim=1) == targets).numpy())


def main() -> None:
    """Measure all kinds, and write the table."""
    options = parser(__doc__, out=RESULTS / "studies")
    options.add_argument("--count", type=int, default=2000, help="studies of each kind (default 2000)")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    answers = digit_answers()
    rows = []
    for rounds in (4, 8, 12):
        for images in (100, 359):
            for spread in (0.05, 0.3):
                for kind, level, hard in (("normal", 1.5, 1.0), ("normal, 98 %", 4.0, 1.5)):
                    rows.append(measure(kind, spread, *normal(rounds, images, level, hard, spread), chosen.count))
                    print(row_line(rows[-1]), flush=True)
            rows.append(measure("digits", float("nan"), *real(answers, rounds, images), chosen.count))
            print(row_line(rows[-1]), flush=True)
    write_csv(rows, Path(chosen.out) / "new_images.csv", machine=False)


if __name__ == "__main__":
    main()
