"""A synthetic experiment: the score is a parabola of the log learning rate, with noise of split, seed and run."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Noise = Literal["normal", "heavy", "skewed", "unequal", "bimodal"]
NOISES: tuple[Noise, ...] = ("normal", "heavy", "skewed", "unequal", "bimodal")

CURVATURE = 4.0
"""Loss of score, in standard deviations of a run, at a tenfold wrong learning rate."""
SHARED = 1.0
"""Standard deviation of what the runs of a round share: split, initial weights, batches."""
COLLAPSE = 20.0
"""How far a collapsed run falls."""


class Studies(NamedTuple):
    """Scores of many studies, larger is better."""

    final: Floats
    """Shape (studies, candidates, rounds, repeats): final runs, every round with its own tuning."""
    once: Floats
    """Shape (studies, candidates, rounds): final runs with the settings of the first tuning."""
    truth: Floats
    """Shape (studies, candidates, rounds): true mean score of the settings that each round's tuning chose."""
    tuned: Floats
    """Shape (studies, candidates, rounds): best validation score of each round's tuning."""


def draw(shape: tuple[int, ...], noise: Noise, rng: np.random.Generator) -> Floats:
    """Draw noise of mean 0 and, apart from `bimodal`, a standard deviation of about 1; axis 1 is the candidate."""
    if noise == "heavy":
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3))
    if noise == "skewed":
        return np.asarray(1 - rng.exponential(size=shape))
    if noise == "unequal":
        spread = np.geomspace(0.5, 2.0, shape[1]).reshape(1, -1, *[1] * (len(shape) - 2))
        return np.asarray(rng.normal(size=shape) * spread)
    if noise == "bimodal":
        return np.asarray(rng.normal(size=shape) - COLLAPSE * ((rng.random(shape) < 0.1) - 0.1))
    return rng.normal(size=shape)


def studies(
    count: int, candidates: int, rounds: int, noise: Noise, seed: int = 0, trials: int = 5, repeats: int = 2
) -> Studies:
    """Run many studies of candidates that are equal: the same surface, each tuned with noise of its own.

    Every round draws its own trials: the default, 0.4 decades from the optimum, and random points around it, the same
    for all candidates. The best noisy validation score chooses.

    Args:
        count: Number of studies.
        candidates: Number of candidates.
        rounds: Number of rounds.
        noise: Distribution of a run's own noise.
        seed: Seed of all draws.
        trials: Tuning trials per round.
        repeats: Final runs per round.
    """
    rng = np.random.default_rng(seed)
    points = rng.uniform(-1, 1, (count, 1, rounds, trials)) + 0.4
    points[..., 0] = 0.4
    level = -CURVATURE * np.broadcast_to(points, (count, candidates, rounds, trials)) ** 2
    of_round = SHARED * rng.normal(size=(count, 1, rounds, 1))
    # candidates of unequal noise would choose unequally well, and so not be equal
    trial = level + draw(level.shape, "normal" if noise == "unequal" else noise, rng)
    chosen = trial.argmax(axis=-1)
    truth = np.take_along_axis(level, chosen[..., None], axis=-1)[..., 0]
    final = truth[..., None] + of_round + draw((count, candidates, rounds, repeats), noise, rng)
    once = truth[:, :, :1] + of_round[..., 0] + draw((count, candidates, rounds), noise, rng)
    return Studies(final, once, truth, trial.max(axis=-1) + of_round[..., 0])
