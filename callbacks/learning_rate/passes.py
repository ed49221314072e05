"""The passes of a search: range tests, and short runs that held-out batches judge."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch.distributed as dist
from lightning.pytorch import LightningModule, Trainer

from callbacks.learning_rate.run_shape import RunShape
from callbacks.learning_rate.search import RangeTest, smoothed_repeats
from callbacks.learning_rate.suggestions import MIN_POINTS, Floats, divergence, suggest
from callbacks.learning_rate.sweep import LRSweep, is_distributed
from foundation.errors import UserError
from foundation.processes import ProgressLines
from foundation.trial.fit import trainer_options, trial_fit
from foundation.trial.world import World

BETA = 0.8  # of the smoothing: about 4 steps to each side
SHORT_RUNS = 999  # number of the pass whose order of the data all short runs have


@dataclass(frozen=True)
class Passes:
    """What all passes of a search have in common."""

    module: LightningModule
    data: Any
    optimizer: int
    seed: int
    trainer: Trainer | None
    options: dict[str, Any]
    progress: ProgressLines = field(default_factory=lambda: ProgressLines("find-lr"))

    def sweep(self, rates: Floats, repeat: int, judge: bool = False) -> LRSweep:
        """Run one pass on a copy of module and data."""
        rank, processes = (dist.get_rank(), dist.get_world_size()) if is_distributed() else (0, 1)
        # The epoch decides the order of the data: it differs between repeats and between processes.
        number = repeat * processes + rank
        sweep = LRSweep(rates, self.optimizer, epoch=1000 * number, judge=judge, progress=self.progress)
        options = self.options | trainer_options(self.trainer)
        run = World.of(self.trainer, self.module)
        trial_fit(self.module, self.data, sweep, self.seed + number, world=run, **options)
        return sweep

    def short_run(self, rate: float, steps: int, shape: RunShape) -> LRSweep:
        """Train for some steps with the compressed schedule of the run; each from the same weights and batches."""
        self.progress.start(f"short run at {rate:.3g}, {steps} steps")
        return self.sweep(shape.rates(rate, steps), SHORT_RUNS, judge=True)


def range_test(passes: Passes, rates: Floats, repeats: int) -> RangeTest:
    """Run the repeats of a range test, and read the suggestions from its curve."""
    sweeps = []
    for repeat in range(repeats):
        passes.progress.start(f"pass {repeat + 1} of {repeats}, at most {len(rates)} steps")
        sweeps.append(passes.sweep(rates, repeat))
    curve, band, noise = smoothed_repeats([s.losses[: divergence(s.losses)] for s in sweeps], BETA)
    losses = np.full((repeats, len(rates)), np.nan)
    for row, sweep in zip(losses, sweeps, strict=True):
        row[: len(sweep.losses)] = sweep.losses
    suggestions, refusal, facts = None, None, sweeps[0].facts()
    diverged = any(sweep.diverged for sweep in sweeps)
    try:
        suggestions = suggest(rates, curve, noise, diverged=diverged)
    except UserError as error:
        why = facts.decay_diverges(float(rates[: len(curve) + 1][-1])) if diverged and len(curve) < MIN_POINTS else ""
        refusal = UserError(f"The loss diverged after {len(curve)} steps: {why}") if why else error
    return RangeTest(rates, losses, curve, band, suggestions, refusal, facts)
