"""The numbers of an evaluation of classes, compared with scikit-learn, torchmetrics, statsmodels and by hand."""

import math

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from statsmodels.stats.proportion import proportion_confint
from torch.nn.functional import cross_entropy
from torchmetrics.classification import MulticlassCalibrationError

from descent.inference.evaluation.calibration import apply_temperature, calibration_bins, fit_temperature, mean_nll
from descent.inference.evaluation.class_scores import class_scores, wilson_interval
from lightning_modules import BinaryClassifier
from lightning_modules.losses import ProbabilityBCELoss
from tests.descent.inference.evaluation.support import random_logits


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (8, 10), (8798, 10000), (1, 1)])
def test_the_interval_equals_statsmodels(right: int, count: int) -> None:
    np.testing.assert_allclose(
        wilson_interval(right, count), proportion_confint(right, count, method="wilson"), atol=1e-12
    )


def test_scores_equal_scikit_learn() -> None:
    logits, targets = random_logits()
    choices = logits.argmax(1)
    choices[choices == 3] = 2  # a class that is never predicted
    targets[targets == 4] = 0  # and a class without samples
    scores = class_scores(choices, targets, list("abcde"))
    found = np.array([score[4:] for score in scores])
    expected = sk.precision_recall_fscore_support(targets, choices, labels=range(5), zero_division=np.nan)
    np.testing.assert_allclose(found, np.stack(expected[:3], axis=1), atol=1e-12)
    assert math.isnan(scores[3].precision)
    assert math.isnan(scores[4].recall)


def test_scores_by_hand() -> None:
    # true a: 3 predicted as a, 1 as b; true b: 2 as a, 4 as b
    choices, targets = torch.tensor([0] * 3 + [1] + [0] * 2 + [1] * 4), torch.tensor([0] * 4 + [1] * 6)
    first, second = class_scores(choices, targets, ["a", "b"])
    assert (first.precision, first.recall) == (3 / 5, 3 / 4)
    assert (second.precision, second.recall) == (4 / 5, 4 / 6)
    assert second.f1 == pytest.approx(2 * (4 / 5) * (4 / 6) / (4 / 5 + 4 / 6))


def test_calibration_error_equals_torchmetrics_and_a_hand_computation() -> None:
    logits, targets = random_logits()
    probabilities = logits.softmax(1)
    sure, choices = probabilities.max(1)
    expected = MulticlassCalibrationError(5, n_bins=15, norm="l1")(probabilities, targets)
    assert calibration_bins(sure, choices == targets).ece == pytest.approx(float(expected), abs=1e-7)
    # two of ten bins: 0.95 with 1 of 2 correct, 0.55 with 2 of 2 correct: (0.45 + 0.45) / 2
    hand = calibration_bins(torch.tensor([0.95, 0.95, 0.55, 0.55]), torch.tensor([True, False, True, True]), bins=10)
    assert hand.ece == pytest.approx(0.45, abs=1e-6)
    assert hand.counts.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    ends = calibration_bins(torch.tensor([0.0, 1.0]), torch.tensor([False, True]))
    assert ends.ece == 0.0


def test_the_gradient_at_the_temperature_is_zero() -> None:
    logits, targets = random_logits(2000)
    found = fit_temperature(logits.log_softmax(1), targets)
    inverse = torch.tensor(1 / found.value, dtype=torch.float64, requires_grad=True)
    cross_entropy(logits * inverse, targets).backward()
    assert inverse.grad is not None
    assert abs(float(inverse.grad)) < 1e-5
    assert found.value > 1.5, "the logits are overconfident"
    assert not found.at_search_limit
    assert mean_nll(apply_temperature(logits.log_softmax(1), found.value), targets) == pytest.approx(
        float(cross_entropy(logits / found.value, targets))
    )


def test_a_temperature_at_the_search_limit_is_reported() -> None:
    targets = torch.tensor([0, 1, 0, 1])
    logits = torch.nn.functional.one_hot(targets, 2).double()
    assert fit_temperature(logits.log_softmax(1), targets).at_search_limit


@pytest.mark.parametrize("loss", [None, ProbabilityBCELoss()])
def test_log_probabilities_of_a_binary_classifier(loss: torch.nn.Module | None) -> None:
    module = BinaryClassifier(torch.nn.Linear(3, 1), optimizer=torch.optim.SGD, loss=loss)
    output = module(torch.randn(50, 3))
    found = module.log_probabilities(output)
    assert torch.allclose(found.exp(), module.probabilities(output), atol=1e-6)
    assert torch.allclose(found.exp().sum(1), torch.ones(50), atol=1e-6)
    if loss is None:
        assert module.log_probabilities(torch.tensor([-200.0]))[0].tolist() == [0.0, -200.0]
