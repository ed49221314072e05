"""What is said of studies whose answer is known."""

import math
import re

import pytest

from descent.studies.report.data_frames import candidate_table
from descent.studies.report.verdict import Scale, detectable, few_trials, remarks, verdict
from descent.studies.running.planner import Plan
from tests.descent.studies.synthetic import analysis


def test_ties_and_distances_are_said_in_one_sentence() -> None:
    text = verdict(analysis({"AdamW": 0.95, "Momentum": 0.951, "SGD": 0.90}))
    assert re.fullmatch(
        r"(AdamW and Momentum|Momentum and AdamW) tie \(about 9\d\.\d % of test/accuracy\); "
        r"SGD is [45]\.\d ± \d\.\d points behind(; with .*)?\.",
        text,
    )


def test_a_single_winner_is_named() -> None:
    text = verdict(analysis({"AdamW": 0.95, "SGD": 0.90}))
    assert text.startswith("AdamW is best, at 9")
    assert "SGD is" in text


def test_a_candidate_that_diverges_every_time_is_a_row_and_not_the_end() -> None:
    study = analysis({"AdamW": 0.95, "SGD": math.nan, "Momentum": 0.9})
    assert list(candidate_table(study).index) == ["AdamW", "Momentum", "SGD"]
    assert candidate_table(study).loc["SGD", "diverged"] == 4
    assert "SGD diverged in every tuning trial." in remarks(study, None)
    assert "SGD failed in final runs and is not ranked" in verdict(study)


def test_no_verdict_on_one_survivor() -> None:
    text = verdict(analysis({"AdamW": 0.95, "SGD": math.nan}))
    assert text == "No verdict: fewer than two candidates have final runs to compare (SGD failed)."


def test_difference_has_the_sign_of_name_less_other() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90})
    down, up = study.difference("SGD", "AdamW"), study.difference("AdamW", "SGD")
    assert down is not None
    assert up is not None
    assert down[0] == pytest.approx(-0.05, abs=0.01)
    assert down[:3] == pytest.approx((-up[0], -up[2], -up[1]))
    assert candidate_table(study).loc["SGD", "difference"] == pytest.approx(down[0])


def test_the_edge_and_foreign_load_are_said() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90}, trials=2)
    notes = " ".join(remarks(study, Plan(2, 8, 10.0, 0.02)))
    assert "AdamW: the best model.optimizer.lr is at the edge of the search range" in notes
    assert "planned: 2.0 points" in notes
    for run in study.outcomes.values():
        run["alone"] = False
    del study.__dict__["timed"]
    assert "Timings are omitted" in " ".join(remarks(study, None))


def test_target_is_the_median_of_the_baseline_and_what_misses_it_is_censored() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.80})
    assert study.target == pytest.approx(0.95, abs=0.01)
    # four of eight final runs lie above their own median
    assert study.to_target("AdamW", "steps") == (math.inf, 4)
    assert study.to_target("SGD", "steps") == (math.inf, 0)


def test_smaller_is_better_turns_everything_round() -> None:
    study = analysis({"AdamW": 0.5, "SGD": 0.9}, mode="min", metric="val/mae")
    assert list(candidate_table(study).index) == ["AdamW", "SGD"]
    assert verdict(study).startswith("AdamW is best, at 0.")
    assert study.letters == {"AdamW": "a", "SGD": "b"}


def test_the_detectable_limit_follows_from_the_spread() -> None:
    narrow, wide = (
        detectable(analysis({"AdamW": 0.9, "SGD": 0.9}, sd=0.001)),
        detectable(analysis({"AdamW": 0.9, "SGD": 0.9}, sd=0.01)),
    )
    assert narrow is not None
    assert wide is not None
    assert wide == pytest.approx(10 * narrow, rel=1e-6)


def test_pairing_is_verified_by_the_fingerprints() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90})
    assert study.pairing() == (True, True)
    next(o for k, o in study.outcomes.items() if str(k) == "rerun/3/SGD")["weights"] = "other"
    assert study.pairing() == (False, True)
    assert "did not start from the same weights" in " ".join(remarks(study, None))


def test_scale_writes_percentages_and_numbers() -> None:
    assert Scale("val/balanced_accuracy").plus_minus(0.008, 0.003) == "0.8 ± 0.3 points"
    assert Scale("val/mae").plus_minus(0.1234, 0.01) == "0.123 ± 0.01"


def test_few_trials_are_spoken_of_only_where_the_lead_is_clear() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.949}, trials=4)
    curves = {"AdamW": [0.80, 0.90, 0.94, 0.95], "SGD": [0.90, 0.93, 0.94, 0.945]}
    study.expected = curves.__getitem__  # type: ignore[assignment]
    limit = detectable(study)
    assert limit is not None
    assert limit < 0.03
    assert few_trials(study, "AdamW") == "with 2 tuning trials or fewer SGD is the safer choice"
    curves["SGD"] = [0.80 + limit / 2, 0.9, 0.9, 0.9]
    assert few_trials(study, "AdamW") == ""
