"""All numbers of a multi-label evaluation: each label's scores, mean average precision, exact matches."""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descent.inference.evaluation.bootstrap import Array
from descent.inference.evaluation.class_scores import wilson_interval
from descent.inference.evaluation.labels.curves import Counts, Curves, Interval
from descent.inference.evaluation.outputs import Samples


class LabelScore(NamedTuple):
    """Scores of one label; a score is NaN if it is not defined.

    Args:
        name: Name of the label.
        prevalence: Share of the samples that have it, the average precision of guessing.
        average_precision: Of its probabilities.
        average_precision_interval: 95 % interval.
        auc: Area under the ROC curve.
        auc_interval: 95 % interval.
        counts: What the threshold gives.
    """

    name: str
    prevalence: float
    average_precision: float
    average_precision_interval: Interval
    auc: float
    auc_interval: Interval
    counts: Counts

    def summary(self) -> dict[str, Any]:
        """Return the numbers for evaluation.json."""
        counts = self.counts
        scores = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1, "accuracy": counts.accuracy}
        return self._asdict() | {"counts": counts._asdict()} | scores


@dataclass
class MultilabelEvaluation:
    """The evaluation of a multi-label classifier.

    Args:
        scores: The higher, the more likely the label `(N, K)`.
        probabilities: Of the labels `(N, K)`.
        targets: Which labels apply `(N, K)`.
        class_names: Names of the labels.
        threshold: A probability of at least this is predicted as the label.
        samples: Names and images of the N samples.
    """

    scores: Array
    probabilities: Array
    targets: NDArray[np.bool_]
    class_names: list[str]
    threshold: float
    samples: Samples

    def __post_init__(self) -> None:
        self.predicted = self.probabilities >= self.threshold
        columns = zip(self.class_names, self.scores.T, self.probabilities.T, self.targets.T, strict=True)
        self.labels = [self._score(name, Curves(*column)) for name, *column in columns]
        self.count = len(self.targets)
        self.exact = int((self.predicted == self.targets).all(axis=1).sum())
        self.exact_interval = wilson_interval(self.exact, self.count)
        self.exact_baseline, self.common = self._most_common_set()
        right = self.predicted == self.targets
        self.accuracy = float(right.mean())
        present = self.targets.mean(axis=0)
        self.baseline_accuracy = float(np.maximum(present, 1 - present).mean())
        self.mean_average_precision = _mean([label.average_precision for label in self.labels])
        self.mean_f1 = _mean([label.counts.f1 for label in self.labels])
        self.mean_prevalence = _mean([label.prevalence for label in self.labels if label.prevalence])

    def _score(self, name: str, curves: Curves) -> LabelScore:
        return LabelScore(
            name, curves.prevalence, curves.average_precision, curves.average_precision_interval, curves.auc,
            curves.auc_interval, curves.at(self.threshold),
        )  # fmt: skip

    def _most_common_set(self) -> tuple[float, str]:
        """Return the exact matches of always answering with the most common set of labels, and that set."""
        sets, counts = np.unique(self.targets, axis=0, return_counts=True)
        most = int(counts.argmax())
        return float(counts[most] / self.count), self.names_of(sets[most])

    def names_of(self, applies: NDArray[np.bool_]) -> str:
        """Return the names of the labels that apply."""
        return " + ".join(name for name, holds in zip(self.class_names, applies, strict=True) if holds) or "no label"

    def worst_first(self) -> list[LabelScore]:
        """Return the labels, the lowest average precision first, those without samples last."""
        return sorted(self.labels, key=lambda label: (math.isnan(label.average_precision), label.average_precision))

    def mistakes(self, label: int) -> list[int]:
        """Return the samples that are wrong in a label, the most confident mistakes first."""
        wrong = np.flatnonzero(self.predicted[:, label] != self.targets[:, label])
        distance = np.abs(self.probabilities[wrong, label] - self.threshold)
        order: list[int] = wrong[np.argsort(-distance, kind="stable")].tolist()
        return order

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json."""
        return {
            "task": "multi-label classification",
            "samples": self.count,
            "threshold": self.threshold,
            "mean_average_precision": self.mean_average_precision,
            "baseline_mean_average_precision": self.mean_prevalence,
            "f1_macro": self.mean_f1,
            "exact_match": self.exact / self.count,
            "exact_match_interval_95": list(self.exact_interval),
            "baseline_exact_match": self.exact_baseline,
            "baseline_labels": self.common,
            "accuracy": self.accuracy,
            "baseline_accuracy": self.baseline_accuracy,
            "labels": [label.summary() for label in self.labels],
        }


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan
