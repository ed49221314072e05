"""All numbers of a regression's evaluation: errors, R², their intervals, the errors by target."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from descent.inference.evaluation.bootstrap import Array, bootstrap_intervals
from descent.inference.evaluation.outputs import Samples

GROUPS = 4


class Score(NamedTuple):
    """A score with its bootstrap interval.

    Args:
        value: NaN if it is not defined.
        interval: 95 % interval.
    """

    value: float
    interval: tuple[float, float]


class TargetGroup(NamedTuple):
    """The errors of the samples whose targets are in one range.

    Args:
        low: Smallest target.
        high: Largest target.
        samples: How many.
        rmse: Root mean squared error.
        mae: Mean absolute error.
        mean_error: Mean of predicted − true.
    """

    low: float
    high: float
    samples: int
    rmse: float
    mae: float
    mean_error: float


@dataclass
class RegressionEvaluation:
    r"""The evaluation of a regression with predictions :math:`\hat{y}` of targets :math:`y`.

    RMSE is :math:`\sqrt{\overline{(\hat{y} - y)^2}}`, MAE :math:`\overline{|\hat{y} - y|}`, R² is
    :math:`1 - \overline{(\hat{y} - y)^2} / \overline{(y - \bar{y})^2}`, and the mean error
    :math:`\overline{\hat{y} - y}`.

    Args:
        predicted: float64 `(N,)`, finite, in the target's unit.
        targets: float64 `(N,)`, finite.
        samples: Names and images of the N samples.
        not_finite: How many predictions are left out because they are NaN or infinite.
    """

    predicted: Array
    targets: Array
    samples: Samples
    not_finite: int = 0

    def __post_init__(self) -> None:
        self.errors = self.predicted - self.targets
        self.mean_target = float(self.targets.mean())
        around = self.targets - self.mean_target
        sums = np.stack([self.errors**2, np.abs(self.errors), self.errors, around, around**2], axis=1)
        values = _scores(sums.mean(axis=0, keepdims=True))[0].tolist()
        found = [Score(*pair) for pair in zip(values, bootstrap_intervals(sums, _scores), strict=True)]
        self.rmse, self.mae, self.mean_error, self.r2 = found
        self.baseline_rmse, self.baseline_mae = float(np.sqrt((around**2).mean())), float(np.abs(around).mean())

    def worst(self) -> list[int]:
        """Return all samples, the largest absolute error first."""
        order: list[int] = np.argsort(-np.abs(self.errors), kind="stable").tolist()
        return order

    def groups(self) -> list[TargetGroup]:
        """Return the errors of four groups of equal size by target, the smallest targets first."""
        order = np.argsort(self.targets, kind="stable")
        parts = [part for part in np.array_split(order, GROUPS) if len(part)]
        return [
            TargetGroup(
                float(self.targets[part[0]]), float(self.targets[part[-1]]), len(part),
                float(np.sqrt((self.errors[part] ** 2).mean())), float(np.abs(self.errors[part]).mean()),
                float(self.errors[part].mean()),
            )
            for part in parts
        ]  # fmt: skip

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json."""
        scores = {"rmse": self.rmse, "mae": self.mae, "r2": self.r2, "mean_error": self.mean_error}
        numbers: dict[str, Any] = {"task": "regression", "samples": len(self.targets), "not_finite": self.not_finite}
        for name, score in scores.items():
            numbers |= {name: score.value, f"{name}_interval_95": list(score.interval)}
        return numbers | {
            "mean_target": self.mean_target,
            "baseline_rmse": self.baseline_rmse,
            "baseline_mae": self.baseline_mae,
            "by_target": [group._asdict() for group in self.groups()],
        }


def _scores(means: Array) -> Array:
    """Return RMSE, MAE, mean error and R² `(R, 4)` from means `(R, 5)` of e², |e|, e, d, d² (d: target − its mean)."""
    square, absolute, error, around, around_square = means.T
    variance = around_square - around**2
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(variance > 1e-12 * around_square, 1 - square / variance, np.nan)
    return np.stack([np.sqrt(square), absolute, error, r2], axis=1)
