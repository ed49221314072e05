"""The points of the tuning trials, and the order and seeds of the runs."""

import math
from typing import Any

import pytest

from descent.studies.running.planner import Plan
from descent.studies.running.rounds import Rounds
from descent.studies.running.search import Point, best_at_edge, first_widening, trial_point
from descent.studies.running.stages import FINAL, PILOT, TUNE, Progress, RunKey
from tests.descent.studies.synthetic import OPTIMIZERS, outcome, study


def tune(optimum: float, trials: int, default: float = 0.1, factor: float = 10.0) -> list[tuple[Point, float | None]]:
    past: list[tuple[Point, float | None]] = []
    for index in range(trials):
        point = trial_point(index, trials, {"lr": default}, {"lr": factor}, past, larger_is_better=True)
        past.append((point, -abs(math.log(point["lr"] / optimum))))
    return past


def test_starts_at_the_default_and_stays_in_the_range_where_the_best_is_inside() -> None:
    values = [point["lr"] for point, _ in tune(optimum=0.1, trials=9)]
    assert values[0] == 0.1
    assert all(0.01 <= value <= 1.0 for value in values)
    assert len({round(value, 9) for value in values}) == 9


@pytest.mark.parametrize(("optimum", "beyond"), [(100.0, 1.0), (1e-5, 0.01)])
def test_a_best_value_at_the_edge_widens_the_range(optimum: float, beyond: float) -> None:
    past = tune(optimum, trials=9)
    values = [point["lr"] for point, _ in past]
    assert (max(values) > beyond) if optimum > 1 else (min(values) < beyond)
    widening = values[first_widening(9) :]
    assert widening == sorted(widening, reverse=optimum < 1)
    assert best_at_edge(past, larger_is_better=True)


def test_a_best_value_next_to_a_diverged_one_is_not_at_the_edge() -> None:
    past: list[tuple[Point, float | None]] = [({"lr": 0.1}, 0.9), ({"lr": 0.03}, 0.8), ({"lr": 1.0}, None)]
    assert best_at_edge(past, larger_is_better=True) == {}


def test_all_candidates_get_the_same_quantiles_around_their_own_defaults() -> None:
    for index in range(4):
        slow = trial_point(index, 6, {"lr": 0.001}, {"lr": 10.0}, [], larger_is_better=True)["lr"]
        fast = trial_point(index, 6, {"lr": 0.1}, {"lr": 10.0}, [], larger_is_better=True)["lr"]
        assert fast == pytest.approx(100 * slow)


def test_two_keys_fill_the_plane() -> None:
    defaults, factors = {"lr": 0.1, "decay": 0.01}, {"lr": 10.0, "decay": 4.0}
    points = [trial_point(i, 30, defaults, factors, [], larger_is_better=True) for i in range(20)]
    quarters = {(p["lr"] > 0.1, p["decay"] > 0.01) for p in points[1:]}
    assert len(quarters) == 4
    assert all(0.0025 <= p["decay"] <= 0.04 for p in points)


def test_seeds_of_the_final_runs_are_shared_and_never_those_of_the_tuning() -> None:
    progress = Progress(study(seed=3), {}, {})
    tuning = {progress.seed(key) for key in [*progress.tuning(9), *progress.pilot()]}
    final = [progress.seed(RunKey(FINAL, name, 4)) for name in ("AdamW", "SGD")]
    assert len(set(final)) == 1
    assert not tuning & {progress.seed(RunKey(FINAL, "SGD", index)) for index in range(30)}
    assert progress.seed(RunKey(TUNE, "SGD", 5)) == progress.seed(RunKey(TUNE, "AdamW", 0))


def test_candidates_alternate_and_have_the_same_number_of_trials() -> None:
    progress = Progress(study(), {}, {})
    runs = progress.tuning(5)
    assert [key.candidate for key in runs[:4]] == ["AdamW", "SGD", "Momentum", "AdamW"]
    assert {sum(key.candidate == name for key in runs) for name in ("AdamW", "SGD", "Momentum")} == {5}


def test_a_trial_waits_for_the_trials_before_it() -> None:
    config = study()
    done = {str(RunKey(TUNE, "SGD", 0)): outcome(0.5, point={"model.optimizer.lr": 0.1})}
    progress = Progress(config, done, {})
    ready = [key for key in progress.ready(progress.tuning(3), 3) if key.candidate == "SGD"]
    assert ready == [RunKey(TUNE, "SGD", 1)]


# -- rounds ------------------------------------------------------------------------------------------------------------


def test_keys_are_read_as_they_are_written_and_those_of_earlier_studies_too() -> None:
    for key in [RunKey(TUNE, "a/b", 3, 2), RunKey(FINAL, "SGD", 4), RunKey(PILOT, "x.1", 0)]:
        assert RunKey.parse(str(key)) == key
    assert str(RunKey(TUNE, "SGD", 3)) == "tune/3/SGD"


def test_tunings_have_other_points_and_the_first_trial_is_always_the_default() -> None:
    def rates(tuning: int) -> list[float]:
        return [trial_point(i, 6, {"lr": 0.1}, {"lr": 10.0}, [], True, tuning)["lr"] for i in range(4)]

    assert rates(0)[0] == rates(1)[0] == rates(2)[0] == 0.1
    assert not set(rates(0)[1:]) & set(rates(1)[1:])
    assert not set(rates(1)[1:]) & set(rates(2)[1:])
    assert all(0.01 <= rate <= 1.0 for tuning in range(5) for rate in rates(tuning))


def run_all(levels: dict[str, float], rounds: int, trials: int = 2, **changes: Any) -> tuple[dict[str, Any], Rounds]:
    """Run a study of known scores to its end, each candidate at its level plus small noise of each seed."""
    config = study(candidates={name: OPTIMIZERS[name] for name in levels}, baseline=next(iter(levels)), **changes)
    defaults = {name: config.defaults(name) for name in levels}
    outcomes: dict[str, Any] = {}
    while True:
        progress = Progress(config, outcomes, defaults)
        state = Rounds(progress, defaults, Plan(trials, rounds, 0.0, None))
        runs = state.next_runs(rounds)
        if runs is None:
            return outcomes, state
        for key in progress.ready(runs, trials):
            noise = 1e-4 * ((7 * key.index + 3 * len(key.candidate)) % 5)
            outcomes[str(key)] = outcome(levels[key.candidate] + noise, point=progress.point(key, trials))


def test_every_round_has_its_own_tuning_and_the_loser_stops_after_the_first_look() -> None:
    outcomes, state = run_all({"AdamW": 0.9, "SGD": 0.3}, rounds=8)
    assert max(key.round for key in map(RunKey.parse, outcomes)) == 3, (
        "it looks after four rounds, and both are decided"
    )
    assert state.going_on(4) == []
    assert {str(RunKey(FINAL, "SGD", index)) for index in range(8)} <= set(outcomes)  # two final runs per round
    assert len(outcomes) == 2 * 4 * (2 + 2)


def test_undecided_candidates_run_to_the_last_round_and_beaten_ones_do_not() -> None:
    levels = {"AdamW": 0.9, "Momentum": 0.9, "SGD": 0.3}
    outcomes, _ = run_all(levels, rounds=8, smallest_difference=1e-9, repeats=1)
    last = {name: max(k.index for k in map(RunKey.parse, outcomes) if k.candidate == name) for name in levels}
    assert last == {"AdamW": 7, "Momentum": 7, "SGD": 3}


def test_a_study_that_tunes_once_has_its_trials_in_the_first_round() -> None:
    outcomes, _ = run_all({"AdamW": 0.9, "SGD": 0.9}, rounds=5, tuning="once", smallest_difference=1e-9)
    assert sum(key.startswith("tune/") for key in outcomes) == 4
    assert not any(key.startswith("tune.") for key in outcomes)
    assert sum(key.startswith("rerun/") for key in outcomes) == 10


def test_tuning_and_final_runs_of_a_round_share_its_validation_split() -> None:
    progress = Progress(study(), {}, {})
    assert [progress.split(RunKey(TUNE, "SGD", 2, 3)), progress.split(RunKey(FINAL, "SGD", 7))] == [3, 3]
    once = Progress(study(tuning="once"), {}, {})
    assert [once.split(RunKey(TUNE, "SGD", 2)), once.split(RunKey(FINAL, "SGD", 7))] == [0, 7]
