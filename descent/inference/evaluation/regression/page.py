"""The page of a regression: errors and R², predicted against true, residuals, errors by target, the worst samples."""

from collections.abc import Sequence
from functools import partial

from descent.inference.evaluation.page_parts import interval_text, lead, number, page_title, part
from descent.inference.evaluation.regression.evaluation import RegressionEvaluation, Score
from descent.inference.evaluation.regression.figures import (
    MAX_POINTS,
    point_titles,
    predicted_against_true,
    residual_histogram,
    residuals_against_predicted,
)
from descent.inference.page_elements import Budget, Thumbnail, gallery
from foundation.html import document, note, table
from foundation.html.svg import captioned

MAX_WORST = 30
MAX_IMAGES = 48
WORST = "Largest errors"


def regression_page(found: RegressionEvaluation, network: str, remarks: Sequence[str] = ()) -> str:
    """Make the page's HTML."""
    sections = [
        *part("scores", "Scores", lambda: _score_table(found)),
        *part("figures", "Predictions and errors", lambda: _figures(found)),
        *part("by-target", "Errors by target", lambda: _groups(found)),
        *part("worst", WORST, lambda: _worst(found)),
    ]
    notes = [*remarks, *regression_remarks(found)]
    return document(page_title(network), network, lead(error_sentence(found), notes), sections)


def error_sentence(found: RegressionEvaluation) -> str:
    """State RMSE, MAE and R² with their intervals, and the errors of the simplest answer."""
    count = len(found.targets)
    return (
        f"RMSE {_with_interval(found.rmse, ' (95% confidence interval {})')}, MAE "
        f"{_with_interval(found.mae)}, R² {_with_interval(found.r2)}, over {count:,} sample{'s' * (count != 1)}. "
        f"Always answering with the mean of the targets, {number(found.mean_target)}, would give RMSE "
        f"{number(found.baseline_rmse)} and MAE {number(found.baseline_mae)}."
    )


def regression_remarks(found: RegressionEvaluation) -> list[str]:
    """Say where the scores hide something: no better than the mean, errors to one side, predictions left out."""
    said = []
    if found.r2.interval[0] <= 0:
        said.append("This is no better than always answering with the mean, within the interval of R².")
    low, high = found.mean_error.interval
    if low > 0 or high < 0:
        side = "high" if low > 0 else "low"
        said.append(
            f"The predictions are too {side} by {number(abs(found.mean_error.value))} on average "
            f"(95% confidence interval of the mean error {interval_text((low, high))})."
        )
    if found.not_finite:
        said.append(f"Predictions that are NaN or infinite, left out of all numbers: {found.not_finite:,}.")
    return said


def _with_interval(score: Score, form: str = " ({})") -> str:
    text = interval_text(score.interval)
    return number(score.value) + (form.format(text) if text != "–" else "")


def _score_table(found: RegressionEvaluation) -> str:
    names = {
        "RMSE": (found.rmse, number(found.baseline_rmse)),
        "MAE": (found.mae, number(found.baseline_mae)),
        "R²": (found.r2, "0"),
        "mean error": (found.mean_error, "0"),
    }
    rows = [(name, number(s.value), interval_text(s.interval), always) for name, (s, always) in names.items()]
    explanation = note(
        "RMSE: root of the mean squared error. MAE: mean absolute error. R²: share of the targets' variance that is "
        "explained. Mean error: mean of predicted − true. All but R² are in the target's unit. The intervals are "
        "percentiles of 2,000 bootstrap samples."
    )
    return table("Scores", ["score", "value", "95% interval", "always the mean"], rows) + explanation


def _figures(found: RegressionEvaluation) -> str:
    titles = point_titles(found)
    figures = captioned(
        predicted_against_true(found), "predicted", "Predicted against true: right is on the dashed line.", titles
    )
    figures += captioned(
        residuals_against_predicted(found), "residuals", "Errors against predicted: a slope, a bend or a "
        "funnel shows what the network has not learned.", titles,
    )  # fmt: skip
    figures += captioned(residual_histogram(found), "histogram", "How often each error occurs; orange: their mean.")
    pointing = "Point at a sample to see its name and numbers." if titles else ""
    many = f"More than {MAX_POINTS:,} samples: the colour says how many lie in a cell." if not titles else ""
    return f'<div class="figures">{figures}</div>{note(pointing or many)}'


def _groups(found: RegressionEvaluation) -> str:
    rows = [
        (f"{number(g.low)} to {number(g.high)}", f"{g.samples:,}", number(g.rmse), number(g.mae), number(g.mean_error))
        for g in found.groups()
    ]
    explanation = note(
        "Groups of equal size, by target. A positive mean error of the smallest targets with a negative one of the "
        "largest says that predictions are drawn towards the mean, as they are where much cannot be predicted."
    )
    return table("Errors by target", ["true", "samples", "RMSE", "MAE", "mean error"], rows) + explanation


def _worst(found: RegressionEvaluation) -> str:
    load, worst = found.samples.load_image, found.worst()
    if load is None:
        rows = [(found.samples.names[row], *_numbers(found, row)) for row in worst[:MAX_WORST]]
        body = table(WORST, ["sample", "true", "predicted", "error"], rows)
        return body + note("All samples are in answers.csv.")
    thumbnails = []
    for row in worst[:MAX_IMAGES]:
        true, predicted, error = _numbers(found, row)
        lines = (f"predicted {predicted}", f"true {true}", f"error {error}")
        thumbnails.append(Thumbnail(partial(load, row), ", ".join(lines), lines, found.samples.names[row]))
    return gallery(thumbnails, Budget())[0] + note("All samples are in answers.csv.")


def _numbers(found: RegressionEvaluation, row: int) -> tuple[str, str, str]:
    return number(found.targets[row]), number(found.predicted[row]), number(found.errors[row])
