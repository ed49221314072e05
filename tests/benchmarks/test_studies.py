"""The simulations of whole studies, with few of them: what the documentation says of errors and cost."""

import math
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.common.command_line import RESULTS, read_csv, write_csv
from benchmarks.studies import new_images, resampled, rivals
from benchmarks.studies.__main__ import Row, simulate
from benchmarks.studies.calibrate import inflation
from benchmarks.studies.halving import measure, replay
from benchmarks.studies.null import NAMES, Study, null_study, plain_run, run_study, summarise
from benchmarks.studies.plain import Trained
from benchmarks.studies.races import best_value, friedman_losers, race, t_losers
from benchmarks.studies.surface import studies
from descent.studies.running.stages import RunKey

STUDIES = 400
SLACK = 2 * math.sqrt(0.05 * 0.95 / STUDIES)


@pytest.fixture(scope="module")
def row() -> Row:
    return simulate("normal", 2, STUDIES, rounds=12)


def test_equal_candidates_are_rarely_called_different_although_tunings_choose_differently(row: Row) -> None:
    assert row.error <= 0.05 + SLACK
    assert row.equal_wrong <= 0.05 + SLACK
    assert row.joint >= 0.95 - SLACK
    assert row.error_once > 0.08, "one tuning is mistaken for the candidate"


def test_the_settings_interval_holds_for_the_settings_that_were_chosen(row: Row) -> None:
    assert row.settings == pytest.approx(0.95, abs=SLACK)


def test_large_differences_need_fewer_rounds_than_a_fixed_design_of_the_same_power(row: Row) -> None:
    assert row.limit_power >= 0.80 - SLACK
    assert row.power >= 0.95
    assert row.rounds <= 0.65 * row.fixed
    assert row.tie_rounds <= 1.1 * row.fixed


def test_the_correction_for_an_estimated_variance_is_enough() -> None:
    assert inflation(8, 3, 40_000) <= 1.25 * 1.1


def test_candidates_are_truly_equal_and_rounds_share_noise() -> None:
    found = studies(STUDIES, 3, 6, "normal")
    assert found.final.shape == (STUDIES, 3, 6, 2)
    means = found.truth.mean(axis=(0, 2))
    assert means.max() - means.min() < 0.05


def test_a_real_study_of_equal_candidates_runs_in_one_process_and_is_summed_up(tmp_path: Path) -> None:
    analysis = run_study(null_study(epochs=1, trials=2, rounds=4, seed=0), partial(plain_run, epochs=1))
    assert len(analysis.outcomes) == 3 * 4 * (2 + 2)
    assert analysis.metric == "test/accuracy"
    scores = {analysis.outcomes[RunKey("tune", name, 0)]["score"] for name in NAMES}
    assert len(scores) > 1, "equal candidates have other weights"
    found = [summarise("plain", 1, analysis, 2.04)]
    assert (found[0].rounds, found[0].better + found[0].equal + found[0].undecided) == (4, 3)
    write_csv(found, tmp_path / "null.csv", machine=False)
    assert read_csv(Study, tmp_path / "null.csv") == found


def test_a_race_drops_what_its_test_calls_worse_than_the_best() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 12)) + np.array([[0.0], [0.2], [0.1], [-3.0]])
    assert friedman_losers(x, 0.05) == [3] == t_losers(x, 0.05)
    same = np.repeat(rng.normal(size=(1, 12)), 3, axis=0) + 0.01 * rng.normal(size=(3, 12))
    assert (friedman_losers(same, 0.05) == []) == (stats.friedmanchisquare(*same).pvalue >= 0.05)
    found = race(x[None], 12, "t")
    pairs = list(combinations(range(4), 2))
    assert {pairs[k]: sign for k, sign in enumerate(found.sign[0].tolist()) if sign} == {
        (0, 3): 1,
        (1, 3): 1,
        (2, 3): 1,
    }
    assert 5 <= found.rounds < 12


def test_the_best_single_value_always_names_a_winner() -> None:
    x = np.array([[[1.0, 5.0], [2.0, 3.0], [0.0, 4.0]]])
    assert best_value(x, 2).sign.tolist() == [[1, 1, 0]]


def test_a_replay_stops_what_is_far_behind_an_earlier_trial_and_counts_what_that_saves() -> None:
    trials = [Trained([0.5, 0.6], 0.60, True), Trained([0.44, 0.9], 0.90, True), Trained([0.6, 0.7], 0.65, True)]
    assert replay(trials, 1, 0.05) == (2, [2, 1, 2]), "the second one is 6 points behind"
    assert replay(trials, 1, 0.1) == (1, [2, 2, 2])
    found = measure([[*trials, trials[2], trials[2]]] * 2, "constant", 0.5, 0.05)
    assert found.saved == round(1 / 14, 4), "one epoch of five trials and two final runs of two epochs"
    assert (found.missed, found.lost) == (1.0, 0.25)


def test_rivals_judge_the_same_studies_and_a_search_the_best_validation_score() -> None:
    found = studies(100, 2, 12, "normal", seed=1)
    ours, search = (
        rivals.measure(name, "normal", 2, found, 12) for name in ("descent compare", "best value of Optuna")
    )
    assert (ours.studies, search.studies) == (100, 100)
    assert ours.error <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 100) < search.error == search.error_once == 1.0
    assert ours.rounds < ours.tie_rounds
    assert search.rounds == search.tie_rounds == 12


def test_a_missing_rival_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rivals, "adastop_installed", lambda: False)
    monkeypatch.setattr("sys.argv", ["rivals"])
    with pytest.raises(SystemExit) as stop:
        rivals.main()
    assert stop.value.code == 2
    assert "AdaStop is not installed: pip install --no-deps adastop" in capsys.readouterr().err


def test_the_interval_of_new_images_holds_for_simulated_and_real_answers() -> None:
    answers = new_images.digit_answers(seeds=6)
    assert answers.shape == (2, 6, 1397)
    truth, drawn = new_images.normal(8, 100, level=1.5, hard=1.0, spread=0.05)
    row = new_images.measure("normal", 0.05, truth, drawn, STUDIES)
    assert row.these >= 0.95 - SLACK
    assert row.first_on_new < 0.85
    assert 0.95 - SLACK <= row.new <= 0.99
    assert new_images.measure("digits", 0.0, *new_images.real(answers, 4, 50), 20).new_width > 0


def test_studies_drawn_from_real_rounds_err_rarely() -> None:
    scores = resampled.as_array(resampled.real_rounds(0, rounds=1))
    assert scores.shape == (3, 1, 2)
    kept = resampled.as_array(read_csv(resampled.Round, RESULTS / "studies" / "null_rounds.csv"))
    assert scores == pytest.approx(kept[:, :1]), "the same round again"
    assert resampled.error(kept, 8, STUDIES) <= 0.05
