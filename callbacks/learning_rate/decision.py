"""Decide on a learning rate: by short runs around what a range test suggests, or by one of its suggestions."""

from dataclasses import dataclass, field

import numpy as np

from callbacks.learning_rate.passes import Passes
from callbacks.learning_rate.run_shape import RunShape, run_shape, run_steps
from callbacks.learning_rate.search import LRSearch, RangeTest
from callbacks.learning_rate.short_runs import ShortRun, Verdict, climb, length_factor, start_rate, verdict
from callbacks.learning_rate.suggestions import Method
from foundation.errors import UserError

STAGES = ((15, 5), (30, 2))  # steps of a run, and how many of them
CONFIRMING_RUNS = 4
MIN_FALL = 0.01  # of the held-out loss, by the best of the short runs


def decide(
    test: RangeTest, passes: Passes, method: Method, limits: tuple[float, float], steps: int | None, confirm_steps: int
) -> LRSearch:
    """Return the search with its pick.

    Args:
        test: The range test.
        passes: How to train.
        method: How to choose.
        limits: Lowest and highest rate.
        steps: Optimizer steps of the run; `None`: the trainer's.
        confirm_steps: Steps of the confirming runs; 0: none.

    Raises:
        UserError: The losses show no rate at which the module learns, or cannot be judged.
    """
    facts = test.facts
    by_hand = not passes.module.automatic_optimization
    if by_hand and confirm_steps:
        raise UserError(
            f"{type(passes.module).__name__} optimizes by hand and has no loss of held-out batches to confirm a rate "
            "with: leave --confirm out."
        )
    per_epoch = facts.batches_per_epoch / (passes.trainer.accumulate_grad_batches if passes.trainer else 1)
    known = steps or run_steps(passes.trainer, facts.batches_per_epoch)
    shape = run_shape(passes.module, known, per_epoch, facts.shape)
    short = method == "short_runs" and not by_hand
    notes = []
    if method == "short_runs" and by_hand:
        notes.append("The module optimizes by hand, so no short runs are judged: the range test alone decides.")
        method = "nine_tenths"
    if not short and test.suggestions is None:
        assert test.refusal is not None
        raise test.refusal
    runs = Runs(passes, shape, limits)
    found: Verdict | None = None
    if short:
        found = by_short_runs(test, runs, limits)
        if test.suggestions is None:
            notes.append("The range test shows no rate, so the short runs began at the usual one of the optimizer.")
    pick = found.rate if found is not None else float(getattr(test.suggestions, method))
    if confirm_steps:
        found = runs.around(pick / length_factor(confirm_steps, shape.steps), confirm_steps, CONFIRMING_RUNS)
        if found is None:
            why = facts.decay_diverges(pick) or "lower --high."
            raise UserError(f"All of the confirming runs around {pick:.3g} diverged: {why}")
        found = found.carried_over(shape.steps)
    rate, equal = (found.rate, found.equal) if found is not None else (pick, None)
    return LRSearch(test, method, rate, equal, runs.done, shape, bool(confirm_steps), runs.validation, notes)


@dataclass
class Runs:
    """Makes short runs and keeps what they gave."""

    passes: Passes
    shape: RunShape
    limits: tuple[float, float]
    done: list[ShortRun] = field(default_factory=list)
    validation: bool = False

    def around(self, start: float, steps: int, count: int) -> Verdict | None:
        """Climb from a rate to the best one of runs of a length; `None` if all diverged."""

        def judge(rate: float) -> float:
            sweep = self.passes.short_run(rate, steps, self.shape)
            self.validation |= sweep.held_out_is_validation
            return sweep.held_out

        low, high = self.limits
        found = climb(float(np.clip(start, low, high)), judge, steps, count, low, high)
        self.done += found
        return verdict(found)


def by_short_runs(test: RangeTest, runs: Runs, limits: tuple[float, float]) -> Verdict:
    """Return the verdict of the stages, carried over to the run.

    Raises:
        UserError: The range test has no suggestion, and no short run lowers the held-out loss.
    """
    usual = test.facts.usual
    steps = STAGES[0][0]
    if test.suggestions is None and (usual is None or not limits[0] <= usual <= limits[1]):
        assert test.refusal is not None
        raise test.refusal
    rate, before = start_rate(test.suggestions, usual, steps), steps
    found = None
    for steps, count in STAGES:
        found = runs.around(rate * length_factor(before, steps), steps, count) or found
        if found is None:
            break
        rate, before = found.rate, found.steps
    best = min((run.loss for run in runs.done), default=float("inf"))
    initial = test.facts.held_out
    if found is None or not best < initial - MIN_FALL * abs(initial):
        raise test.refusal or UserError(
            f"No short run lowers the held-out loss (from {initial:.4g} to {best:.4g} at best): check that the module "
            "trains at all, take longer runs (--confirm true --confirm_steps), or trust the range test "
            "(--method nine_tenths)."
        )
    return found.carried_over(runs.shape.steps)
