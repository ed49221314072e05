"""`descent evaluate` of a regression: numbers compared with scikit-learn and SciPy; page, files, messages."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from PIL import Image
from scipy.stats import bootstrap

from datamodules.datasets.linear_regression import LinearRegressionDataModule
from descent.inference.evaluation.bootstrap import MAX_GROUPS, bootstrap_intervals
from descent.inference.evaluation.outputs import Samples
from descent.inference.evaluation.regression.evaluation import RegressionEvaluation
from descent.inference.evaluation.regression.page import error_sentence, regression_page, regression_remarks
from descent.inference.evaluation.regression.report import evaluate_regressor, regression_report
from descent.inference.evaluation.report import write_report
from descent.inference.evaluation.tasks import evaluate
from foundation.errors import UserError
from lightning_modules import Regressor
from tests.descent.inference.test_loading import trained


def predicted(count: int = 200, noise: float = 1.0, shift: float = 0.0) -> RegressionEvaluation:
    g = np.random.default_rng(0)
    targets = g.normal(50, 3, count)
    return RegressionEvaluation(
        targets + shift + g.normal(0, noise, count), targets, Samples([f"row <{i}>" for i in range(count)])
    )


def test_scores_equal_scikit_learn() -> None:
    found = predicted()
    assert found.rmse.value == pytest.approx(sk.root_mean_squared_error(found.targets, found.predicted))
    assert found.mae.value == pytest.approx(sk.mean_absolute_error(found.targets, found.predicted))
    assert found.r2.value == pytest.approx(sk.r2_score(found.targets, found.predicted))
    assert found.mean_error.value == pytest.approx((found.predicted - found.targets).mean())
    constant = np.full(200, found.targets.mean())
    assert found.baseline_rmse == pytest.approx(sk.root_mean_squared_error(found.targets, constant))
    assert found.baseline_mae == pytest.approx(sk.mean_absolute_error(found.targets, constant))
    parts = found.groups()
    assert [part.samples for part in parts] == [50] * 4
    assert sum(part.mae for part in parts) / 4 == pytest.approx(found.mae.value)


def test_intervals_agree_with_scipy() -> None:
    found = predicted()
    pair = (found.targets, found.predicted)
    for score, function in ((found.rmse, sk.root_mean_squared_error), (found.r2, sk.r2_score)):
        options = {"paired": True, "vectorized": False, "method": "percentile", "n_resamples": 400, "rng": 1}
        expected = bootstrap(pair, function, **options).confidence_interval
        width = expected.high - expected.low
        np.testing.assert_allclose(score.interval, expected, atol=0.15 * width)


def test_many_samples_in_groups_have_the_interval_of_the_theory() -> None:
    values = np.sort(np.random.default_rng(3).normal(2, 1, 60_001))[:, None]  # sorted, as data by class is
    (low, high), *_ = bootstrap_intervals(values, lambda means: means)
    expected = 2 * 1.96 * values.std() / np.sqrt(len(values))
    assert len(values) > MAX_GROUPS
    assert high - low == pytest.approx(expected, rel=0.1)
    assert low < values.mean() < high


def test_what_is_not_defined_is_null(tmp_path: Path) -> None:
    one = RegressionEvaluation(np.array([2.0]), np.array([3.0]), Samples(["a"]))
    found = json.loads(write_report(regression_report(one, "n"), tmp_path))
    assert (found["rmse"], found["r2"], found["rmse_interval_95"]) == (1.0, None, [None, None])
    assert error_sentence(one).startswith("RMSE 1, MAE 1, R² –, over 1 sample. Always answering with the mean")
    same = RegressionEvaluation(np.array([2.0, 3.0]), np.array([0.1, 0.1]), Samples(["a", "b"]))
    assert np.isnan(same.r2.value)


def test_remarks_follow_from_the_numbers() -> None:
    assert regression_remarks(predicted()) == []
    (high,) = regression_remarks(predicted(shift=1.0))
    assert "predictions are too high by 0.9115 on average" in high
    (low,) = regression_remarks(predicted(shift=-1.0))
    assert "too low by" in low
    assert "no better than always answering with the mean" in regression_remarks(predicted(noise=4.0))[0]


def test_the_page_names_each_point_and_the_worst_rows() -> None:
    found = predicted()
    found.predicted[7] += 30
    found = RegressionEvaluation(found.predicted, found.targets, found.samples)
    page = regression_page(found, "runs/a/0/checkpoints/best.ckpt")
    assert "<title>Evaluation of a/0</title>" in page
    assert page.count("<title>row &lt;") == 2 * 200
    assert re.search(r'<th scope="row">([^<]*)</th>', page.partition('id="worst"')[2])[1] == "row &lt;7&gt;"  # type: ignore[index]
    assert page.count("<svg ") == 3


def test_many_samples_make_a_page_of_bounded_size() -> None:
    page = regression_page(predicted(8_000), "n")
    assert len(page) < 1_500_000
    assert "row &lt;" not in page.partition('id="worst"')[0]
    assert "the colour says how many" in page


def test_images_with_the_largest_errors() -> None:
    few = predicted(5)
    shown = Samples(few.samples.names, lambda row: Image.new("L", (4, 4), row))
    page = regression_page(RegressionEvaluation(few.predicted, few.targets, shown), "n")
    assert page.count("<img ") == 5


def test_a_trained_regressor(tmp_path: Path) -> None:
    data = LinearRegressionDataModule(rows=200)
    module = Regressor(torch.nn.Linear(10, 1), torch.optim.SGD)
    module.mean.fill_(3)
    report = evaluate(trained(module, data), None)
    write_report(report, tmp_path)
    with (tmp_path / "answers.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["sample"] for row in rows] == [f"test row {i}" for i in range(50)]
    inputs, targets = data.prepare_batch(data.test_set.__getitems__(list(range(50))), training=False)  # type: ignore[union-attr]
    expected = module(inputs).detach() + 3
    np.testing.assert_allclose([float(row["predicted"]) for row in rows], expected, rtol=1e-5)
    np.testing.assert_allclose([float(row["true"]) for row in rows], targets)
    with pytest.raises(
        UserError, match=r"holds a Regressor, which does not choose one class per image: leave --images"
    ):
        evaluate(trained(module, data), tmp_path)
    with pytest.raises(UserError, match="--tta is for networks that choose one class per image, not for a Regressor"):
        evaluate(trained(module, data), None, tta=True)
    other = trained(torch.nn.Linear(1, 1), data)
    with pytest.raises(UserError, match=r"supports ImageClassifier, .*best\.ckpt holds a Linear: use descent test"):
        evaluate(other, None)


def test_predictions_that_are_not_finite_are_counted() -> None:
    module = Regressor(torch.nn.Linear(10, 1), torch.optim.SGD)
    network = trained(module, LinearRegressionDataModule(rows=200))
    hook = module.register_forward_hook(lambda *given: given[-1].index_fill(0, torch.tensor([1]), torch.nan))
    found = evaluate_regressor(network, module)
    assert (found.not_finite, len(found.targets)) == (1, 49)
    assert regression_remarks(found)[-1] == "Predictions that are NaN or infinite, left out of all numbers: 1."
    hook.remove()
    module.register_forward_hook(lambda *given: given[-1] * torch.nan)
    with pytest.raises(UserError, match="none of the 50 predictions is finite"):
        evaluate_regressor(network, module)
