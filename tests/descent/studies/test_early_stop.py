"""Tuning trials that are stopped early: by which curves, and what becomes of them."""

from pathlib import Path
from typing import Any

import pytest

from descent.studies.report.protocol import protocol
from descent.studies.running.early_stop import stop_rule
from descent.studies.running.one_run import STOPPED, RunOrder, execute
from descent.studies.running.recorder import StopRule
from descent.studies.running.stages import FINAL, TUNE, Progress, RunKey
from descent.studies.study_config import StudyConfig, read_study
from tests.descent.studies.synthetic import analysis, outcome, study
from tests.descent.studies.toy import toy_study


def progress(config: StudyConfig, **curves: list[Any]) -> Progress:
    """A tuning of which trial n of candidate c has the curve `c_n`."""
    outcomes = {}
    for name, curve in curves.items():
        candidate, _, index = name.partition("_")
        outcomes[str(RunKey(TUNE, candidate, int(index)))] = outcome(curve[-1], scores=curve)
    return Progress(config, outcomes, {name: config.defaults(name) for name in config.names})


def test_a_trial_is_judged_in_the_middle_by_the_best_earlier_trial_of_its_own_tuning() -> None:
    found = progress(study(), AdamW_0=[0.2, 0.6, 0.8, 0.9], AdamW_1=[0.3, 0.7, 0.7, 0.7], SGD_0=[0.9, 0.95, 0.96, 0.97])
    rule = stop_rule(found, RunKey(TUNE, "AdamW", 2))
    assert rule == pytest.approx((2, 0.65, True)), "5 points below 0.7; SGD does not count"
    assert stop_rule(found, RunKey(TUNE, "AdamW", 1)) == pytest.approx((2, 0.55, True))
    assert rule is not None
    assert [rule.stops([0.1, score]) for score in (0.64, 0.66)] == [True, False]
    assert not rule.stops([0.1])
    assert not rule.stops([0.1, 0.9, 0.1]), "only once"


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (RunKey(TUNE, "AdamW", 0), {}),
        (RunKey(FINAL, "AdamW", 2), {}),
        (RunKey(TUNE, "AdamW", 2, 1), {}),
        (RunKey(TUNE, "SGD", 1), {}),
        (RunKey(TUNE, "AdamW", 2), {"stop_trials": False}),
    ],
)
def test_first_trials_final_runs_and_other_tunings_are_never_stopped(key: RunKey, changes: dict[str, Any]) -> None:
    assert stop_rule(progress(study(**changes), AdamW_0=[0.2, 0.6], AdamW_1=[0.2, 0.6]), key) is None


def test_runs_with_one_validation_and_failed_trials_give_no_rule() -> None:
    assert stop_rule(progress(study(), AdamW_0=[0.6]), RunKey(TUNE, "AdamW", 1)) is None
    failed = progress(study(), AdamW_0=[0.2, 0.6])
    next(iter(failed.outcomes.values())).update(status="diverged", score=None)
    assert stop_rule(failed, RunKey(TUNE, "AdamW", 1)) is None


def test_the_guard_follows_the_metric_and_its_direction() -> None:
    errors = study(metric="val/mae", mode="min")
    assert stop_rule(progress(errors, AdamW_0=[2.0, 1.0]), RunKey(TUNE, "AdamW", 1)) == pytest.approx((1, 2.2, False))
    wanted = study(smallest_difference=0.02)
    assert stop_rule(progress(wanted, AdamW_0=[0.5, 1.0]), RunKey(TUNE, "AdamW", 1)) == pytest.approx((1, 0.4, True))


def test_a_run_ends_there_and_has_no_score(tmp_path: Path) -> None:
    config = read_study(toy_study(tmp_path))
    order = RunOrder(config.run_config("slow"), 1, config.metric)
    whole = execute(order)
    bounds = (whole["scores"][0] + 1e-6, whole["scores"][0] - 1e-6)
    stopped, going_on = (execute(RunOrder(order.config, 1, config.metric, stop=StopRule(1, b, True))) for b in bounds)
    assert (stopped["status"], stopped["score"], stopped["scores"]) == (STOPPED, None, whole["scores"][:1])
    assert going_on["scores"] == whole["scores"], "judging a run changes nothing"


def test_a_stopped_trial_is_not_chosen_and_the_page_counts_it() -> None:
    found = analysis({"AdamW": 0.95, "SGD": 0.90})
    before = found.expected("AdamW")
    last = found.outcomes[RunKey(TUNE, "AdamW", 2)]
    last.update(status=STOPPED, score=None, scores=[0.99])
    assert found.progress.tuning_history("AdamW")[2][1] is None
    assert found.expected("AdamW")[-1] >= before[-1]
    assert "1 of 6 trials were stopped after half of their validations" in protocol(found)[0]
    assert next(s for s in found.summaries if s.name == "AdamW").diverged == 0
