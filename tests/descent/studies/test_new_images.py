"""What a study says of new test images: records of the tests, the interval, the sentence."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningModule
from scipy import stats

from descent.studies.config_overlay import load_experiment
from descent.studies.report.analysis import StudyAnalysis
from descent.studies.report.data_frames import candidate_table, pair_table
from descent.studies.report.population import population
from descent.studies.running.one_run import RunOrder, execute
from descent.studies.running.tested import packed, right_answers, sums_of_bytes, unpacked
from descent.studies.statistics.new_images import image_error
from descent.studies.statistics.sequential_test import decide
from descent.studies.study_config import read_study
from tests.descent.studies.synthetic import analysis
from tests.descent.studies.toy import toy_study

IMAGES = 200


def answers(studies: int, rounds: int, seed: int = 0) -> Any:
    """Draw right and wrong answers of two equal candidates, `(studies, 2, rounds, images)`.

    Each has images that it finds hard and rounds that went badly; a normal score above 0 is a right answer.
    """
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=(studies, 1, 1, IMAGES)) + 0.7 * rng.normal(size=(studies, 2, 1, IMAGES))
    of_round = 0.05 * rng.normal(size=(studies, 2, rounds, 1))
    return 1.5 + hard + of_round + 0.7 * rng.normal(size=(studies, 2, rounds, IMAGES)) > 0


def test_the_interval_of_new_images_holds_where_that_of_the_tested_images_does_not() -> None:
    right = answers(400, 8)
    errors = np.array([[image_error(study[0].astype(float) - study[1])] for study in right])
    scores = right.mean(axis=-1)
    tested, new = (decide(scores, 8, 0.0, step=1 / IMAGES, image_errors=e) for e in (0.0, errors))
    held, held_on_new = (float(((found.low <= 0) & (found.high >= 0)).mean()) for found in (tested, new))
    assert held < 0.85, "the images are the same in every round, and the true difference is that over all images"
    assert 0.93 <= held_on_new <= 0.985
    assert (new.low <= tested.low).all()
    assert (new.high >= tested.high).all()


def test_the_error_of_the_images_is_that_of_their_means_without_the_noise() -> None:
    rng = np.random.default_rng(0)
    of_image, of_round, noise = (rng.normal(size=(500, *shape)) for shape in ((1, 40), (6, 1), (6, 40)))
    squares = [image_error(d) ** 2 for d in 2.0 * of_image + 5.0 * of_round + noise]
    assert np.mean(squares) == pytest.approx(2.0**2 / 40, rel=0.03)
    assert np.mean([image_error(d) for d in of_round + noise]) < 0.1 / np.sqrt(6), "only noise"
    with pytest.raises(ValueError, match="at least 2 rounds and 2 images, got shape"):
        image_error(np.ones((1, 40)))


def test_half_a_width_joins_rounds_and_images_as_a_hypotenuse() -> None:
    x = np.random.default_rng(0).normal(size=(2, 8))
    plain, wide = decide(x, 8, 0.0), decide(x, 8, 0.0, image_errors=[0.5])
    d = x[0] - x[1]
    half = stats.t.isf(plain.level / 2, 7) * d.std(ddof=1) / np.sqrt(8)
    wanted = np.hypot(half, 0.5 * stats.norm.isf(plain.level / 2))
    assert wide.high[0] <= d.mean() + wanted + 1e-12, "the intersection with earlier looks may be narrower"
    assert decide(x[:, :3], 3, 0.0, image_errors=[0.5]).high[0] > decide(x[:, :3], 3, 0.0).high[0]


# -- the record of a test ----------------------------------------------------------------------------------------------


def test_a_final_run_records_its_test_samples(tmp_path: Any) -> None:
    config = read_study(toy_study(tmp_path))
    first, second = (execute(RunOrder(config.run_config("fast"), seed, "val/margin", test=True)) for seed in (1, 2))
    assert (first["tested"]["samples"], first["tested"]["shape"]) == (64, [3])
    assert first["tested"] == second["tested"], "the same samples, whatever the seed"
    assert first["tested"]["right"] is None, "the toy does not call itself, so its outputs are not seen"
    assert execute(RunOrder(config.run_config("fast"), 1, "val/margin"))["tested"] is None


@pytest.mark.parametrize(("experiment", "samples", "shape"), [("quickstart", 359, [1, 8, 8]), ("binary", 113, [30])])
def test_the_answers_of_a_classifier_are_its_accuracy(experiment: str, samples: int, shape: list[int]) -> None:
    run = load_experiment(f"{experiment}.yaml")
    run["trainer"] |= {"max_epochs": 1, "accelerator": "cpu", "limit_train_batches": 2, "logger": False}
    found = execute(RunOrder(run, 1, "val/accuracy", test=True))
    assert found["status"] == "done", found["message"]
    right = unpacked(found["tested"], found["test"]["test/accuracy"])
    assert right is not None
    assert (len(right), found["tested"]["shape"]) == (samples, shape)


def test_right_answers_are_those_of_classes() -> None:
    module, target = LightningModule(), torch.tensor([0, 1])
    assert right_answers(module, torch.eye(2), target).tolist() == [True, True]  # type: ignore[union-attr]
    for output, wrong in (
        (torch.rand(2, 3, 4), target),
        (torch.rand(2, 1), target),
        (torch.rand(2, 3), target.float()),
        (torch.rand(3, 3), target),
        ([torch.eye(2)], target),
    ):
        assert right_answers(module, output, wrong) is None


def test_a_fingerprint_sees_each_value_of_each_kind() -> None:
    for values in (torch.rand(3, 2, 2), torch.arange(3), torch.tensor([True, False, True]), torch.rand(3).bfloat16()):
        assert sums_of_bytes(values).shape == (3,)
        other = values.clone()
        other[1] = other[1] + 1 if values.dtype != torch.bool else True
        assert (sums_of_bytes(values) != sums_of_bytes(other)).tolist() == [False, True, False]
    assert sums_of_bytes(torch.empty(0, 2)).shape == (0,)


def test_answers_are_used_only_where_they_are_the_metric() -> None:
    right = np.random.default_rng(0).random(359) < 0.9
    record: Any = {"samples": 359, "shape": [1, 8, 8], "digest": "d", "targets": "t", "right": packed(right)}
    assert len(record["right"]) == 60
    assert (unpacked(record, float(np.float32(right.mean()))) == right).all()  # type: ignore[union-attr]
    assert unpacked(record, float(right.mean()) + 1e-3) is None, "e.g. a balanced accuracy"
    record["right"] = None
    assert unpacked(record, 0.5) is None
    assert unpacked(None, 0.5) is None


# -- the report --------------------------------------------------------------------------------------------------------


def study_with_answers(shift: float = 0.3, **changes: Any) -> StudyAnalysis:
    """A study of 8 rounds whose answers are known; the first candidate is better by `shift` normal scores."""
    study = analysis({"AdamW": 0.9, "SGD": 0.9})
    right = answers(1, 8)[0]
    rng = np.random.default_rng(1)
    for key, run in study.outcomes.items():
        if key.stage == "rerun":
            bits = right[int(key.candidate == "SGD"), key.index] | (key.candidate == "AdamW") & (
                rng.random(IMAGES) < shift
            )
            record = {"samples": IMAGES, "shape": [1, 8, 8], "digest": "d", "targets": "t", "right": packed(bits)}
            run["test"], run["tested"] = {"test/accuracy": float(bits.mean())}, {**record, **changes}
    return study


def test_what_new_images_do_not_change_is_not_said_twice() -> None:
    study = study_with_answers()
    study.__dict__["new_images"] = study.pairs
    assert population(study).endswith("tested on these 200 images. On new images of the same kind the same holds.")


def test_the_report_says_what_the_verdict_is_about_and_what_new_images_change() -> None:
    study = study_with_answers()
    text = population(study)
    assert text.startswith(
        "This verdict is about new training runs, tested on these 200 images. On new images of the same kind: "
    )
    pair, new = study.pairs["AdamW", "SGD"], study.new_images["AdamW", "SGD"]
    assert new.low < pair.low < pair.high < new.high
    assert new.mean == pytest.approx(pair.mean)
    assert f"[{100 * new.low:.1f}, {100 * new.high:.1f}]" in text
    table = candidate_table(study)
    assert table.loc["SGD", "new_images_low"] == pytest.approx(-new.high)
    assert pair_table(study).loc[0, "new_images_decision"] == new.decision


def test_a_difference_may_be_decided_on_these_images_and_not_on_new_ones() -> None:
    decisions = [
        (study.pairs["AdamW", "SGD"].decision, study.new_images["AdamW", "SGD"].decision)
        for study in map(study_with_answers, (0.1, 0.22, 0.24, 0.26, 0.28, 0.5))
    ]
    assert ("better", "undecided") in decisions
    assert all(new in (old, "undecided") for old, new in decisions)


def test_nothing_is_said_of_new_images_where_it_is_not_known() -> None:
    without = study_with_answers(right=None)
    assert without.new_images == {}
    assert population(without).endswith(
        "tested on these 200 images; how new images would move test/accuracy is not in the intervals."
    )
    assert "200 samples; how new samples" in population(study_with_answers(right=None, shape=[5]))
    other_metric = study_with_answers()
    for run in other_metric.outcomes.values():
        if run["test"]:
            run["test"] = {"test/accuracy": run["test"]["test/accuracy"] - 0.01}
    assert other_metric.new_images == {}, "the share of right answers is not the metric"


def test_a_study_of_an_earlier_version_has_no_records() -> None:
    study = analysis({"AdamW": 0.95, "SGD": 0.9})
    assert study.new_images == {}
    assert "Not every run recorded its test samples" in population(study)
    for run in study.outcomes.values():
        run["test"] = {}
    del study.__dict__["metric"]
    assert "judged on the study's validation data;" in population(study)


def test_a_study_whose_test_images_changed_says_so() -> None:
    def changed(where: Any) -> StudyAnalysis:
        study = study_with_answers()
        for key, run in study.outcomes.items():
            if key.stage == "rerun":
                run["tested"].update(where(key.index))
        return study

    half = changed(lambda index: {"digest": index > 3, "targets": index > 3})
    assert half.new_images == {}
    assert population(half).startswith("The test images changed during the study")
    each = changed(lambda index: {"digest": index, "targets": index})
    assert "in every round tested on other images: the choice of the images is in the intervals" in population(each)
    assert each.new_images == {}
    at_random = changed(lambda index: {"digest": index})
    assert "The test inputs differ from run to run" in population(at_random)
    unknown = study_with_answers()
    next(o for k, o in unknown.outcomes.items() if str(k) == "rerun/3/SGD")["tested"] = None
    assert unknown.new_images == {}


def test_rounds_in_which_a_run_failed_are_left_out_on_new_images_too() -> None:
    study = study_with_answers()
    run = next(o for k, o in study.outcomes.items() if str(k) == "rerun/3/SGD")
    fallen = np.zeros(IMAGES, dtype=bool)
    run["test"], run["tested"]["right"] = {"test/accuracy": 0.0}, packed(fallen)
    pair, new = study.pairs["AdamW", "SGD"], study.new_images["AdamW", "SGD"]
    assert pair.without_failed
    assert 0 < new.low < pair.low < pair.high < new.high < 0.3
    run.update(status="diverged", score=None, test={}, tested=None)
    diverged = StudyAnalysis(
        study.config, {str(k): o for k, o in study.outcomes.items()}, study.progress.defaults, 3, 8
    )
    assert diverged.new_images["AdamW", "SGD"].low == pytest.approx(new.low)
