"""`descent evaluate` of yes-or-no answers: curves compared with scikit-learn, DeLong by hand, thresholds, labels."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from PIL import Image

from datamodules.datasets.shapes import ShapeLabelsDataModule
from datamodules.datasets.sklearn_tables import BreastCancerDataModule
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.labels.binary import BinaryScores
from descent.inference.evaluation.labels.binary_page import binary_part, positive_sentence, threshold_remark
from descent.inference.evaluation.labels.curves import Curves, logit_interval
from descent.inference.evaluation.labels.evaluation import MultilabelEvaluation
from descent.inference.evaluation.labels.page import labels_sentence, multilabel_page, multilabel_remarks
from descent.inference.evaluation.labels.report import multilabel_report
from descent.inference.evaluation.outputs import Samples
from descent.inference.evaluation.page import evaluation_page
from descent.inference.evaluation.report import write_report
from descent.inference.evaluation.tasks import evaluate
from lightning_modules import BinaryClassifier, MultilabelClassifier
from lightning_modules.networks import SmallCNN
from tests.descent.inference.test_loading import trained


def scored(count: int = 300, ties: bool = True, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    g = np.random.default_rng(seed)
    positive = g.random(count) < 0.3
    scores = g.normal(0, 1, count) + 1.2 * positive
    return (scores.round(1) if ties else scores), positive


def curves_of(scores: np.ndarray, positive: np.ndarray) -> Curves:
    return Curves(scores, 1 / (1 + np.exp(-scores)), positive)


@pytest.mark.parametrize("ties", [True, False])
def test_curves_equal_scikit_learn(ties: bool) -> None:
    scores, positive = scored(ties=ties)
    found = curves_of(scores, positive)
    assert found.auc == pytest.approx(sk.roc_auc_score(positive, scores))
    assert found.average_precision == pytest.approx(sk.average_precision_score(positive, scores))
    across, up, _ = sk.roc_curve(positive, scores, drop_intermediate=False)
    np.testing.assert_allclose(np.stack(found.roc()), [across, up])
    precision, recall, _ = sk.precision_recall_curve(positive, scores)
    np.testing.assert_allclose(np.stack(found.precision_recall())[:, ::-1], [recall[:-1], precision[:-1]])
    counts = found.at(0.4)
    assert sk.confusion_matrix(positive, found.probabilities >= 0.4).ravel().tolist() == [
        counts.true_negative, counts.false_positive, counts.false_negative, counts.true_positive
    ]  # fmt: skip
    for value, function in ((counts.precision, sk.precision_score), (counts.recall, sk.recall_score), (counts.f1, sk.f1_score)):  # fmt: skip
        assert value == pytest.approx(function(positive, found.probabilities >= 0.4))


def test_the_interval_of_the_auc_is_delongs_by_its_definition() -> None:
    scores, positive = scored(60)
    found = curves_of(scores, positive)
    x, y = scores[positive][:, None], scores[~positive][None, :]
    wins = (x > y) + 0.5 * (x == y)  # what DeLong averages over rows and columns
    deviation = math.sqrt(wins.mean(1).var(ddof=1) / len(x) + wins.mean(0).var(ddof=1) / y.shape[1])
    area = wins.mean()
    odds, width = math.log(area / (1 - area)), 1.959964 * deviation / (area * (1 - area))
    expected = [1 / (1 + math.exp(-(odds + side * width))) for side in (-1, 1)]
    np.testing.assert_allclose(found.auc_interval, expected, rtol=1e-9)


def test_the_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """A normal score of positives is 1 higher, so the area is Φ(1 / √2); the average precision is that of many."""
    true_area = 0.7602499389
    many = np.random.default_rng(9)
    positive = many.random(200_000) < 0.3
    truth = curves_of(many.normal(size=200_000) + positive, positive).average_precision
    g, held = np.random.default_rng(1), np.zeros(2)
    for _ in range(300):
        positive = g.random(120) < 0.3
        found = curves_of(g.normal(size=120) + positive, positive)
        for place, (value, (low, high)) in enumerate(
            [(true_area, found.auc_interval), (truth, found.average_precision_interval)]
        ):
            held[place] += low <= value <= high
    assert (held / 300 > 0.91).all(), held / 300


def test_infinite_scores_that_are_equal_stay_together() -> None:
    positive = np.array([True, False, True, False])
    infinite, large = (np.array([big, big, 0.0, -big]) for big in (np.inf, 9e9))
    for order in (slice(None), slice(None, None, -1)):
        found = Curves(infinite[order], np.ones(4), positive[order])
        assert found.average_precision == sk.average_precision_score(positive, large)
        assert found.auc == sk.roc_auc_score(positive, large)


def test_what_is_not_defined() -> None:
    none = curves_of(np.array([0.0, 1.0]), np.array([False, False]))
    assert math.isnan(none.auc)
    assert math.isnan(none.average_precision)
    assert math.isnan(none.at(0.5).f1)
    perfect = curves_of(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True]))
    assert perfect.auc == perfect.average_precision == 1.0
    assert math.isnan(perfect.auc_interval[0])
    assert math.isnan(logit_interval(1.0, 5)[0])


def binary(seed: int = 0, threshold: float = 0.5) -> BinaryScores:
    scores, positive = scored(seed=seed)
    odds = torch.from_numpy(2 * scores - 3)
    both = torch.stack([torch.nn.functional.logsigmoid(-odds), torch.nn.functional.logsigmoid(odds)], dim=1)
    return BinaryScores(both, torch.from_numpy(positive).long(), ["fine", "de<f>ect"], threshold)


def test_the_positive_class_is_named() -> None:
    found = binary()
    said = positive_sentence(found)
    assert said.startswith("Positive is de<f>ect, negative fine: ")
    assert f"AUC {found.curves.auc:.3f} (95% confidence interval " in said
    (better,) = threshold_remark(found)
    assert "It was chosen on these samples: check it on others." in better
    best = found.best_f1()
    assert best is not None
    assert threshold_remark(binary(threshold=best.threshold)) == []
    page = binary_part(found)
    assert "de<f>ect" not in page
    assert page.count("<svg ") == 2
    assert "<title>threshold 0.1: precision " in page
    assert "0.5 (used)" in page
    one = BinaryScores(found.log_probabilities, torch.zeros(300, dtype=torch.int64), ["fine", "bad"], 0.5)
    assert positive_sentence(one).endswith(
        "Without samples of both classes, AUC and average precision are not defined."
    )
    assert "<svg" not in binary_part(one)


def test_a_saturated_probability_keeps_its_rank() -> None:
    odds = torch.tensor([40.0, 50.0, 60.0, 70.0], dtype=torch.float64)
    both = torch.stack([torch.nn.functional.logsigmoid(-odds), torch.nn.functional.logsigmoid(odds)], dim=1)
    assert BinaryScores(both, torch.tensor([0, 0, 1, 1]), ["a", "b"], 0.5).curves.auc == 1


def test_two_classes_of_an_image_classifier_have_curves_too() -> None:
    found = binary()
    classes = found.log_probabilities.argmax(1)
    outputs = LabelledPredictions(found.log_probabilities, classes, found.targets, list(map(str, range(300))), None, {})
    page = evaluation_page(Evaluation(outputs, ["fine", "bad"]), "n")
    assert "Positive class: bad" in page
    assert Evaluation(outputs, ["fine", "bad"]).summary()["binary"]["positive_class"] == "bad"


def test_a_trained_binary_classifier(tmp_path: Path) -> None:
    module = BinaryClassifier(torch.nn.Linear(30, 1), torch.optim.SGD, threshold=0.3)
    torch.nn.init.normal_(module.network.weight, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    report = evaluate(trained(module.eval(), BreastCancerDataModule()), None)
    found = json.loads(write_report(report, tmp_path))
    assert (found["binary"]["positive_class"], found["binary"]["threshold"]) == ("malignant", 0.3)
    assert "Positive is malignant, negative benign" in report.sentences[1]
    used = next(row for row in found["binary"]["thresholds"] if row["threshold"] == 0.3)
    assert used["accuracy"] == pytest.approx(found["accuracy"])
    with (tmp_path / "thresholds.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(found["binary"]["thresholds"])


def labelled(images: bool = True) -> MultilabelEvaluation:
    g = np.random.default_rng(0)
    targets = g.random((200, 3)) < (0.5, 0.1, 0.3)
    scores = g.normal(0, 1, targets.shape) + targets * (3, 0.2, 1)
    load = (lambda row: Image.new("L", (4, 4), row)) if images else None
    names = ["easy", "h<a>rd", "c"]
    samples = Samples([f"image {i}" for i in range(200)], load)
    return MultilabelEvaluation(scores, 1 / (1 + np.exp(-scores)), targets, names, 0.5, samples)


def test_labels_equal_scikit_learn() -> None:
    found = labelled()
    expected = sk.average_precision_score(found.targets, found.scores, average=None)
    np.testing.assert_allclose([label.average_precision for label in found.labels], expected)
    assert found.mean_average_precision == pytest.approx(expected.mean())
    assert found.mean_f1 == pytest.approx(sk.f1_score(found.targets, found.predicted, average="macro"))
    assert found.exact / 200 == sk.accuracy_score(found.targets, found.predicted)
    assert found.worst_first()[0].name == "h<a>rd"
    wrong = found.mistakes(0)
    assert len(wrong) == int((found.predicted[:, 0] != found.targets[:, 0]).sum())
    sure = np.abs(found.probabilities[wrong, 0] - 0.5)
    assert (np.diff(sure) <= 0).all()


def test_the_page_of_labels(tmp_path: Path) -> None:
    found = labelled()
    page = multilabel_page(found, "runs/a/0/checkpoints/best.ckpt")
    assert "h<a>rd" not in page
    assert page.index("Mistakes: h&lt;a&gt;rd") < page.index("Mistakes: easy")
    assert page.count("<img ") == sum(min(12, len(found.mistakes(label))) for label in range(3))
    assert "<table" in multilabel_page(labelled(images=False), "n").partition('id="label-0"')[2]
    text = write_report(multilabel_report(found, "n"), tmp_path)
    assert json.loads(text)["labels"][2]["name"] == "c"
    with (tmp_path / "labels.csv").open() as file:
        assert [row["label"] for row in csv.DictReader(file)] == found.class_names


def test_remarks_on_labels() -> None:
    targets = np.zeros((10, 2), dtype=bool)
    targets[:4, 0] = True
    found = MultilabelEvaluation(
        np.full((10, 2), -1.0), np.full((10, 2), 0.2), targets, ["a", "b"], 0.5, Samples(list("0123456789"))
    )
    assert multilabel_remarks(found) == [
        "Of all yes-or-no answers 80.0% are right, no more than with always the more common answer to each label (80.0%).",
        "Labels that were never found: a.",
        "Labels that no sample has, so that nothing can be said about them: b.",
    ]
    usual = labelled()
    (only,) = multilabel_remarks(usual)
    assert f"{usual.accuracy:.1%} are right, no more than with always the more common answer" in only
    usual.scores += (0, -9, -1.5)
    better = MultilabelEvaluation(
        usual.scores * 2, 1 / (1 + np.exp(-usual.scores + 1)), usual.targets, ["a", "b", "c"], 0.5, usual.samples
    )
    assert better.accuracy > better.baseline_accuracy
    assert multilabel_remarks(better) == ["Labels that were never found: b."]


def test_a_trained_multilabel_classifier(tmp_path: Path) -> None:
    module = MultilabelClassifier(SmallCNN(num_classes=3, width=4), torch.optim.SGD, num_labels=3, threshold=0.4)
    data = ShapeLabelsDataModule(pictures=40)
    report = evaluate(trained(module.eval(), data), None)
    found = json.loads(write_report(report, tmp_path))
    assert (found["samples"], found["threshold"]) == (10, 0.4)
    assert report.sentences[0] == labels_sentence(report.found)
    with (tmp_path / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [f"test image {i}" for i in range(10)]
    true = [set(filter(None, row["true_labels"].replace("no label", "").split("; "))) for row in rows]
    expected = data.test_set.images.targets  # type: ignore[union-attr]
    assert true == [{name for name, holds in zip(data.class_names, row, strict=True) if holds} for row in expected]
