"""All numbers of an evaluation: accuracy, class scores, confusion matrix, calibration."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from descent.inference.evaluation.calibration import (
    CalibrationBins,
    Temperature,
    apply_temperature,
    calibration_bins,
    mean_nll,
)
from descent.inference.evaluation.class_scores import ClassScore, class_scores, wilson_interval
from descent.inference.evaluation.labelled_predictions import LabelledPredictions

SCORE_COLUMNS = ("samples", "said", "right", "precision", "recall", "f1")
"""Names of a `ClassScore`'s fields in evaluation.json and classes.csv."""


@dataclass
class Evaluation:
    """The evaluation of a single-label classifier.

    Args:
        predictions: Its predictions for labelled samples.
        class_names: Names of the network's classes.
        temperature: Temperature fitted on the validation data; `None` if there was none.
    """

    predictions: LabelledPredictions
    class_names: list[str]
    temperature: Temperature | None = None

    def __post_init__(self) -> None:
        classes, targets = self.predictions.classes, self.predictions.targets
        self.correct = classes == targets
        self.count, self.correct_count = len(targets), int(self.correct.sum())
        self.accuracy = self.correct_count / self.count
        self.interval = wilson_interval(self.correct_count, self.count)
        self.confusion = multiclass_confusion_matrix(classes, targets, len(self.class_names))
        self.class_scores: list[ClassScore] = class_scores(self.confusion, self.class_names)
        self.confidence = self._confidence(self.predictions.log_probabilities)
        self.calibration = calibration_bins(self.confidence, self.correct)
        self.scaled_calibration: CalibrationBins | None = None
        if self.temperature is not None:
            self.scaled = apply_temperature(self.predictions.log_probabilities, self.temperature.value)
            self.scaled_calibration = calibration_bins(self._confidence(self.scaled), self.correct)

    def _confidence(self, log_probabilities: Tensor) -> Tensor:
        return log_probabilities.exp().gather(1, self.predictions.classes.unsqueeze(1)).squeeze(1)

    def mistakes(self) -> list[int]:
        """Return the rows of the wrong predictions, the most confident first."""
        wrong = (~self.correct).nonzero().flatten()
        rows: list[int] = wrong[self.confidence[wrong].argsort(descending=True, stable=True)].tolist()
        return rows

    def confusions(self) -> list[tuple[str, str, int]]:
        """Return true class, predicted class and count of each pair that was confused, the most frequent first."""
        names, counts = self.class_names, self.confusion
        pairs = [(names[i], names[j], int(counts[i, j])) for i, j in counts.nonzero().tolist() if i != j]
        return sorted(pairs, key=lambda pair: -pair[2])

    def macro_means(self) -> dict[str, float]:
        """Return precision, recall and F1, each as the mean over the classes for which it is defined."""
        means = torch.tensor([score[4:] for score in self.class_scores], dtype=torch.float64).nanmean(dim=0)
        return dict(zip(("precision", "recall", "f1"), means.tolist(), strict=True))

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json, in which NaN, for what is not defined, becomes null."""
        scores = self.class_scores
        return {
            "samples": self.count,
            "right": self.correct_count,
            "accuracy": self.accuracy,
            "accuracy_interval_95": list(self.interval),
            **{f"{name}_macro": mean for name, mean in self.macro_means().items()},
            "nll": mean_nll(self.predictions.log_probabilities, self.predictions.targets),
            "classes": [dict(zip(("name", *SCORE_COLUMNS), score, strict=True)) for score in scores],
            "class_names": self.class_names,
            "confusion": self.confusion.tolist(),
            "calibration": self._calibration_summary(),
            "not_decoded": len(self.predictions.failures),
        }

    def _calibration_summary(self) -> dict[str, Any]:
        bins = self.calibration
        numbers = {"bins": len(bins.counts), "ece": bins.ece, "mean_probability": float(self.confidence.mean())}
        if self.temperature is not None and self.scaled_calibration is not None:
            numbers |= {
                "temperature": self.temperature.value,
                "fitted_on": self.temperature.samples,
                "ece_after": self.scaled_calibration.ece,
                "nll_after": mean_nll(self.scaled, self.predictions.targets),
            }
        return numbers
