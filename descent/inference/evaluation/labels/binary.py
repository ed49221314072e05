"""The numbers of a binary classification beyond its accuracy: AUC, average precision, and a table of thresholds."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from descent.inference.evaluation.labels.curves import Counts, Curves

THRESHOLDS = (0.01, 0.05, *(number / 10 for number in range(1, 10)), 0.95, 0.99)
COLUMNS = ("threshold", "true_positive", "false_positive", "false_negative", "true_negative", "precision", "recall",
           "f1", "accuracy")  # fmt: skip


@dataclass
class BinaryScores:
    """How well a classifier finds the positive class, at the usual thresholds and its own, the lowest first.

    Args:
        log_probabilities: Of the negative and the positive class, float64 `(N, 2)`.
        targets: True classes `(N,)`, 1 is positive.
        class_names: Names of the negative and the positive class.
        threshold: A probability of at least this is predicted positive.
    """

    log_probabilities: Tensor
    targets: Tensor
    class_names: list[str]
    threshold: float

    def __post_init__(self) -> None:
        odds = self.log_probabilities[:, 1] - self.log_probabilities[:, 0]
        self.negative, self.positive = self.class_names
        self.curves = Curves(odds.numpy(), torch.sigmoid(odds).numpy(), (self.targets == 1).numpy())
        self.current = self.curves.at(self.threshold)
        self.table: list[Counts] = [self.curves.at(each) for each in sorted({*THRESHOLDS, self.threshold})]

    def best_f1(self) -> Counts | None:
        """Return the threshold of the table with the highest F1; `None` without positive samples."""
        rows = [row for row in self.table if not math.isnan(row.f1)]
        return max(rows, key=lambda row: row.f1, default=None)

    def rows(self) -> list[list[float]]:
        """Return the table in `COLUMNS`."""
        return [[*row, row.precision, row.recall, row.f1, row.accuracy] for row in self.table]

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json."""
        curves = self.curves
        return {
            "positive_class": self.positive,
            "negative_class": self.negative,
            "threshold": self.threshold,
            "prevalence": curves.prevalence,
            "auc": curves.auc,
            "auc_interval_95": list(curves.auc_interval),
            "average_precision": curves.average_precision,
            "average_precision_interval_95": list(curves.average_precision_interval),
            "thresholds": [dict(zip(COLUMNS, row, strict=True)) for row in self.rows()],
        }
