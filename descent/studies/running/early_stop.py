"""Stop tuning trials that cannot win, by the curves of the trials before them."""

from descent.studies.running.decisions import RELATIVE_DELTA, SHARE_DELTA, is_share
from descent.studies.running.one_run import DONE
from descent.studies.running.recorder import StopRule
from descent.studies.running.stages import TUNE, Progress, RunKey

GUARD = 5.0
"""How many times the largest difference that does not matter a trial may be behind."""


def stop_rule(progress: Progress, key: RunKey) -> StopRule | None:
    """Return when a tuning trial is stopped: after half of its validations, if it is far behind an earlier trial.

    It is compared with the best score that an earlier trial of the same tuning had at the same validation: never with
    another candidate's, which may learn at another pace. A trial that is stopped has no score, so that it cannot be
    chosen. What it may be behind is 5 times `smallest_difference`: by default 5 points for a share such as accuracy,
    and 10 % of the best score for another metric.

    Args:
        progress: The finished runs.
        key: The run.

    Returns:
        `None` for a run that is never stopped: a final run, a tuning's first trial, runs with fewer than two
        validations, and studies that do not stop trials.
    """
    config = progress.config
    if not config.stop_trials or key.stage != TUNE:
        return None
    earlier = (progress.outcomes.get(str(key.trial(index))) for index in range(key.index))
    curves = [o["scores"] for o in earlier if o is not None and o["status"] == DONE]
    after = max(map(len, curves), default=0) // 2
    scores = [curve[after - 1] for curve in curves if after and len(curve) >= after and curve[after - 1] is not None]
    if not scores:
        return None
    best = max(scores) if config.larger_is_better else min(scores)
    unimportant = config.smallest_difference
    if unimportant is None:
        unimportant = SHARE_DELTA if is_share(config.metric) else RELATIVE_DELTA * abs(best)
    sign = 1.0 if config.larger_is_better else -1.0
    return StopRule(after, best - sign * GUARD * unimportant, config.larger_is_better)
