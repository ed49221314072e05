"""What is said of studies whose answer is known."""

import math
import re

import pytest

from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.context import context, title
from descent.studies.report.data_frames import candidate_table
from descent.studies.report.pairs import Pair, tie_letters
from descent.studies.report.remarks import detectable, remarks
from descent.studies.report.scale import Scale
from descent.studies.report.verdict import decided, verdict
from descent.studies.running.planner import Plan
from descent.studies.statistics.counts import proportion
from tests.descent.studies.synthetic import analysis

POINTS = r"\d+\.\d points \[−?\d+\.\d, \d+\.\d\]"


def test_ties_and_distances_are_said_with_the_values_of_both_sides() -> None:
    text = verdict(analysis({"AdamW": 0.95, "Momentum": 0.951, "SGD": 0.90}))
    assert re.fullmatch(
        rf"With the settings that one tuning chose: (AdamW|Momentum) \(9\d\.\d %\) and (Momentum|AdamW) \(9\d\.\d %\) "
        rf"cannot be told apart in test/accuracy: (AdamW − Momentum|Momentum − AdamW) is {POINTS}; "
        rf"SGD \(8\d\.\d %\) is {POINTS} behind (AdamW|Momentum)\.",
        text,
    )


def test_a_single_winner_is_named() -> None:
    text = verdict(analysis({"AdamW": 0.95, "SGD": 0.90}))
    assert "AdamW is best, at 9" in text
    assert re.search(rf"SGD \(8\d\.\d %\) is {POINTS} behind\.", text)


def test_practically_equal_is_not_the_same_as_undecided() -> None:
    text = verdict(analysis({"AdamW": 0.95, "SGD": 0.9505}, sd=0.001))
    assert "are practically equal in test/accuracy: " in text
    assert "within ±1.0 points" in text
    assert "cannot be told apart" in verdict(analysis({"AdamW": 0.95, "SGD": 0.9505}, sd=0.02))
    assert "practically" not in verdict(analysis({"AdamW": 0.95, "SGD": 0.9505}, sd=0.001, smallest_difference=1e-4))


def test_some_of_the_best_are_equal_and_some_are_open() -> None:
    study = analysis({"AdamW": 0.95, "B": 0.9502, "C": 0.9504}, sd=0.001)
    pairs = dict(study.pairs)
    for key in (("B", "C"), ("C", "B")):
        pairs[key] = pairs[key]._replace(decision="undecided")
    named, within = (
        r"(AdamW|B|C) and (AdamW|B|C)",
        rf"the largest difference, \w+ − \w+, is {POINTS}, within ±1\.0 points",
    )
    found = re.fullmatch(
        rf"of .* none was found better than another in test/accuracy: {named} cannot be told apart "
        rf"\([BC] − [BC] is {POINTS}\); {named}, {named} are practically equal \({within}\)",
        decided(study, pairs),
    )
    assert found is not None
    assert {*found.group(1, 2)} == {"B", "C"}
    assert {frozenset(found.group(n, n + 1)) for n in (3, 5)} == {frozenset({"AdamW", "B"}), frozenset({"AdamW", "C"})}


def test_too_few_seeds_give_no_verdict() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.10}, seeds=2)
    assert verdict(study).startswith("No verdict: a pair of candidates needs 3 seeds")
    assert study.letters == {}
    assert candidate_table(study)["difference"].isna().all()


def test_pairs_are_formed_by_seed_where_runs_are_missing() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.95}, sd=1e-9)
    for key, run in study.outcomes.items():
        if key.stage == "rerun":
            run["test"] = {"test/accuracy": 0.5 + 0.05 * key.index}  # the seed decides, the candidates are equal
            if (key.candidate, key.index) in (("AdamW", 0), ("SGD", 3)):
                run.update(status="crashed", score=None, test={})
    pair = study.pairs["AdamW", "SGD"]
    assert pair.rounds == 6
    assert (pair.mean, pair.low, pair.high) == (0.0, 0.0, 0.0)
    assert pair.decision == "equal"


def test_a_difference_over_fewer_rounds_than_the_means_says_so() -> None:
    whole = analysis({"AdamW": 0.95, "SGD": 0.95}, sd=0.001)
    assert "rounds" not in verdict(whole)
    stopped = {
        str(k): o for k, o in whole.outcomes.items() if (k.stage, k.candidate) != ("rerun", "SGD") or k.index < 6
    }
    study = StudyAnalysis(whole.config, stopped, whole.progress.defaults, whole.trials, whole.seeds)
    assert "(over the 6 rounds that both have)" in verdict(study)


def test_equal_scores_are_written_without_a_minus_sign() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.95}, sd=0.0)
    for run in study.outcomes.values():
        run["test"] = {"test/accuracy": 0.9}
    text = verdict(study)
    assert "is 0.0 points [0.0, 0.0], within ±1.0 points" in text
    assert "−0.0" not in text


def test_a_candidate_that_diverges_every_time_is_a_row_and_not_the_end() -> None:
    study = analysis({"AdamW": 0.95, "SGD": math.nan, "Momentum": 0.9})
    assert list(candidate_table(study).index) == ["AdamW", "Momentum", "SGD"]
    assert candidate_table(study).loc["SGD", "diverged"] == 4
    assert "SGD: no tuning trial has a score (4 diverged, 0 crashed)." in remarks(study, None)
    assert "SGD: not ranked, since fewer than two final runs have a score" in verdict(study)


@pytest.mark.parametrize(("rounds", "said"), [(1, "1 round"), (2, "2 rounds")])
def test_candidates_have_not_failed_where_the_time_ended(rounds: int, said: str) -> None:
    whole = analysis({"AdamW": 0.95, "SGD": 0.9})
    begun = {str(k): o for k, o in whole.outcomes.items() if k.stage != "rerun" or k.index < rounds}
    study = StudyAnalysis(whole.config, begun, whole.progress.defaults, whole.trials, whole.seeds)
    assert verdict(study) == f"No verdict: the time ended after {said}, and a verdict needs at least 3."


def test_no_verdict_on_one_survivor() -> None:
    text = verdict(analysis({"AdamW": 0.95, "SGD": math.nan}))
    assert text == "No verdict: fewer than two candidates have final runs to compare (SGD failed)."


def test_a_diverged_final_run_is_a_risk_with_an_interval() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90}, seeds=12)
    next(o for k, o in study.outcomes.items() if str(k) == "rerun/3/SGD").update(status="diverged", score=None, test={})
    notes = " ".join(remarks(study, None))
    assert "SGD: in 1 of 12 rounds a final run diverged; 95 % interval of this risk: 0 to 38 %." in notes
    assert (
        "No final run of AdamW diverged or collapsed. With 95 % confidence the risk of each per round is at most 26 %"
        in notes
    )
    assert study.pairs["AdamW", "SGD"].without_failed
    assert "(without rounds in which a run diverged or collapsed)" in verdict(study)
    assert "in most rounds, with failed runs as the worst: AdamW and SGD." in notes


def test_a_pair_has_the_sign_of_name_less_other() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90})
    down, up = study.pairs["SGD", "AdamW"], study.pairs["AdamW", "SGD"]
    assert down.mean == pytest.approx(-0.05, abs=0.01)
    assert (down.mean, down.low, down.high) == pytest.approx((-up.mean, -up.high, -up.low))
    assert (down.decision, up.decision) == ("worse", "better")
    assert (float(down.chance.share), float(up.chance.share)) == (0.0, 1.0)
    assert candidate_table(study).loc["SGD", "difference"] == pytest.approx(down.mean)


def test_the_edge_and_foreign_load_are_said() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90}, trials=2)
    notes = " ".join(remarks(study, Plan(2, 8, 10.0, 0.02)))
    assert "AdamW: the best model.optimizer.lr is at the edge of the search range" in notes
    assert "planned: 2.0 points" in notes
    for run in study.outcomes.values():
        run["alone"] = False
    del study.__dict__["timed"]
    assert "Timings are omitted" in " ".join(remarks(study, None))


def test_one_run_without_a_test_metric_does_not_move_the_study_to_validation() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90})
    next(o for k, o in study.outcomes.items() if str(k) == "rerun/3/SGD")["test"] = {"test/accuracy": None}
    assert study.metric == "test/accuracy"
    notes = " ".join(remarks(study, None))
    assert "SGD: 1 of 8 final runs have no finite test/accuracy and are left out." in notes
    assert "No final run has a test metric" not in notes
    for run in study.outcomes.values():
        run["test"] = {}
    del study.__dict__["metric"], study.__dict__["summaries"]
    assert "No final run has a test metric: candidates are judged on the validation" in " ".join(remarks(study, None))


def test_the_context_names_data_network_epochs_and_steps() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.90}, overrides={"trainer.max_epochs": 4})
    facts = context(study)
    assert (facts["data"], facts["network"]) == ("DigitsDataModule", "SmallCNN (width 32)")
    assert (facts["epochs"], facts["optimizer steps"], facts["final runs"]) == ("4", "20", "8")
    assert title(study) == "toy: AdamW vs SGD on DigitsDataModule, SmallCNN (width 32)"
    for key, run in study.outcomes.items():
        run["steps"] = [5, 80] if key.candidate == "SGD" else [10, 20]
    assert context(study)["optimizer steps"] == "20 (AdamW), 80 (SGD)"


def test_the_verdict_is_about_a_budget_of_tuning_and_the_settings_have_their_own_interval() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.94}, sd=0.002, tuning_sd=0.02, tuning="rounds")
    assert verdict(study).startswith("With a budget of 3 tuning trials: ")
    pair = study.pairs["AdamW", "SGD"]
    assert pair.rounds == 8
    assert pair.settings is not None
    assert float(pair.settings.mean) == pytest.approx(pair.mean)
    assert pair.high - pair.low > 5 * float(pair.settings.high - pair.settings.low), "tuning varies, training hardly"
    back = study.pairs["SGD", "AdamW"].settings
    assert back is not None
    assert float(back.low) == pytest.approx(-float(pair.settings.high))
    assert candidate_table(study).loc["SGD", "settings_difference"] == pytest.approx(-pair.mean)


def pair(name: str, other: str, decision: str) -> Pair:
    return Pair(name, other, 0.0, -1.0, 1.0, decision, False, 8, proportion(4, 8))


def test_letters_and_decisions_agree_where_noise_is_unequal() -> None:
    # A, B, C by mean; A and C were not told apart, since C is noisy, but both from B
    found = [pair("A", "B", "better"), pair("A", "C", "undecided"), pair("B", "C", "better")]
    pairs = {key: p for q in found for key, p in (((q.name, q.other), q), ((q.other, q.name), q.reversed()))}
    letters = tie_letters(["A", "B", "C"], pairs)
    for (name, other), found_pair in pairs.items():
        assert bool(set(letters[name]) & set(letters[other])) == (found_pair.decision not in ("better", "worse"))
    assert letters == {"A": "a", "B": "b", "C": "a"}
    assert tie_letters(["A", "B"], {k: v for k, v in pairs.items() if "C" not in k}) == {"A": "a", "B": "b"}


def test_target_is_the_median_of_the_baseline_and_what_misses_it_is_censored() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.80})
    assert study.target == pytest.approx(0.95, abs=0.01)
    # four of eight final runs lie above their own median
    assert study.to_target("AdamW", "steps") == (math.inf, 4)
    assert study.to_target("SGD", "steps") == (math.inf, 0)


def test_smaller_is_better_turns_everything_round() -> None:
    study = analysis({"AdamW": 0.5, "SGD": 0.9}, mode="min", metric="val/mae")
    assert list(candidate_table(study).index) == ["AdamW", "SGD"]
    assert "AdamW is best, at 0." in verdict(study)
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
    assert "the initial weights differed between the candidates" in " ".join(remarks(study, None))


def test_scale_writes_percentages_and_numbers() -> None:
    assert Scale("val/balanced_accuracy").interval(0.008, -0.0004, 0.3) == "0.8 points [0.0, 30.0]"
    assert Scale("val/mae").interval(0.1234, -0.01, 1.0) == "0.123 [−0.01, 1]"
