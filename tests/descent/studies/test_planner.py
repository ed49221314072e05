"""The planner, given pilots of known cost and spread."""

import math
from dataclasses import replace

import numpy as np
import pytest

from descent.studies.running.planner import PilotEstimates, Plan, fit, make_plan, parse_budget
from descent.studies.running.recorder import StudyError

COSTS = {"A": 1.0, "B": 2.0, "C": 3.0}


def pilot(costs: dict[str, float] = COSTS, sd: float = 0.01, workers: int = 1) -> PilotEstimates:
    scores = np.random.default_rng(0).normal(0.9, sd, (len(costs), 3)).tolist()
    return PilotEstimates(costs, scores, 2 * sum(costs.values()) / workers, workers)


def test_a_plan_fits_its_budget_and_uses_it() -> None:
    for budget in (90.0, 150.0, 400.0):
        plan = make_plan(pilot(), 5, 8, budget)
        assert plan.seconds <= budget
        assert plan.seconds + sum(COSTS.values()) > budget or plan.seeds == 30


def test_two_workers_do_about_twice_as_much() -> None:
    alone, together = make_plan(pilot(), 5, 8, 150.0), make_plan(pilot(workers=2), 5, 8, 150.0)
    assert together.seeds > 1.5 * alone.seeds


def test_a_budget_has_spare_rounds_for_a_machine_that_gets_faster() -> None:
    plan = make_plan(pilot(), trials=5, seeds=8, budget=100.0)
    assert plan.most == min(30, math.ceil(1.5 * plan.seeds)) > plan.seeds
    assert make_plan(pilot(), trials=5, seeds=8, budget=None).most == 8
    assert Plan(trials=5, seeds=8, seconds=1.0, limit=None).most == 8, "as an earlier version stored it"


def test_without_a_budget_the_study_is_as_configured() -> None:
    plan = make_plan(pilot(), 5, 8, None)
    assert (plan.trials, plan.seeds) == (5, 8)
    assert plan.seconds == 12 + 6 * (4 + 8)


def test_no_tuning_stays_no_tuning() -> None:
    assert make_plan(pilot(), 1, 8, 100.0).trials == 1


def test_a_budget_that_is_too_small_gives_an_error_with_the_ways_out() -> None:
    with pytest.raises(StudyError, match=r"30 s is too small: .* 3 candidates × \(3 trials \+ 5 seeds\), takes 54 s"):
        fit(pilot(), tune=True, budget=30.0)
    with pytest.raises(StudyError, match=r"Use --budget 1m; or leave out C; or make the runs 2 times shorter"):
        fit(pilot(), tune=True, budget=35.0)


def test_a_difference_that_cannot_be_detected_gives_an_error_with_the_seeds_it_needs() -> None:
    limit = pilot().limit(8)
    assert limit is not None
    with pytest.raises(StudyError, match=r"5 trials × 8 seeds detect differences of .* that needs \d+ seeds"):
        make_plan(pilot(), 5, 8, None, wanted=limit / 2)
    assert make_plan(pilot(), 5, 8, None, wanted=1.01 * limit).limit == limit


def test_pilot_spread_is_that_of_paired_differences() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(0, 5.0, (1, 500)) + rng.normal(0, 1.0, (4, 500)) + np.arange(4)[:, None]
    sd = PilotEstimates({}, rows.tolist(), 0.0).sd()
    assert sd == pytest.approx(math.sqrt(2), rel=0.05)


def test_runs_that_do_not_differ_have_no_limit() -> None:
    assert PilotEstimates(COSTS, [[0.5, 0.5], [0.7, 0.7]], 1.0).limit(8) is None


def test_rounds_with_their_own_tuning_cost_trials_and_final_runs() -> None:
    rounds = replace(pilot(), repeats=2)
    assert rounds.seconds(5, 8) == 12 + 6 * (8 * 7 - 1)
    plan = make_plan(rounds, 5, 8, 400.0)
    assert plan.seconds <= 400.0 < plan.seconds + 6 * (plan.trials + 2)
    assert (plan.trials, plan.seeds) == (5, 9)
    assert make_plan(rounds, 5, 8, 250.0).trials == 4, "fewer trials rather than fewer than six rounds"
    with pytest.raises(StudyError, match=r"3 candidates × 4 rounds of \(3 trials \+ 2 final runs\), takes 2\.1 min"):
        make_plan(rounds, 5, 8, 100.0)
    with pytest.raises(StudyError, match=r"or tune once for all rounds \(--tuning once\), which says less"):
        make_plan(rounds, 5, 8, 100.0)


@pytest.mark.parametrize("text", ["", "ten minutes", "5", "-3m"])
def test_a_budget_that_is_not_a_time(text: str) -> None:
    with pytest.raises(StudyError, match="the budget must be a time such as 90s, 10m or 1h30m"):
        parse_budget(text)
