"""All numbers of an evaluation: accuracy, class scores, confusion matrix, calibration."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from descent.inference.evaluation.calibration import (
    CalibrationBins,
    Temperature,
    apply_temperature,
    calibration_bins,
    mean_nll,
)
from descent.inference.evaluation.class_scores import ClassScore, class_scores, wilson_interval
from descent.inference.evaluation.labelled_predictions import LabelledPredictions
from descent.inference.evaluation.labels.binary import BinaryScores
from descent.inference.evaluation.mirror_gain import mirror_gain
from descent.inference.evaluation.samples.label_errors import Suspects

MAX_DENSE = 200
"""Up to this many classes the confusion matrix is stored with its zeros: their number is the square of the classes'."""

SCORE_COLUMNS = ("samples", "said", "right", "precision", "recall", "f1")
"""Names of a `ClassScore`'s fields in evaluation.json and classes.csv."""


@dataclass
class Evaluation:
    """The evaluation of a single-label classifier.

    Args:
        predictions: Its predictions for labelled samples.
        class_names: Names of the network's classes.
        temperature: Temperature fitted on the validation data; `None` if there was none.
        suspects: Samples of these and the validation data whose label is probably wrong; `None`: not looked for.
        threshold: Of two classes, from which probability on the second one, the positive one, is predicted.
    """

    predictions: LabelledPredictions
    class_names: list[str]
    temperature: Temperature | None = None
    suspects: Suspects | None = None
    threshold: float = 0.5

    def __post_init__(self) -> None:
        classes, targets = self.predictions.classes, self.predictions.targets
        self.correct = classes == targets
        self.count, self.correct_count = len(targets), int(self.correct.sum())
        self.accuracy = self.correct_count / self.count
        self.interval = wilson_interval(self.correct_count, self.count)
        self.class_scores: list[ClassScore] = class_scores(classes, targets, self.class_names)
        most_common = max(self.class_scores, key=lambda score: score.samples)
        self.baseline_class, self.baseline = most_common.name, most_common.samples / self.count
        without = self.predictions.classes_without_mirror
        self.mirror_gain = None if without is None else mirror_gain(classes, without, targets)
        self.binary: BinaryScores | None = None
        if len(self.class_names) == 2:
            self.binary = BinaryScores(self.predictions.log_probabilities, targets, self.class_names, self.threshold)
        self.confidence = self._confidence(self.predictions.log_probabilities)
        self.calibration = calibration_bins(self.confidence, self.correct)
        self.scaled_calibration: CalibrationBins | None = None
        if self.temperature is not None:
            scaled = apply_temperature(self.predictions.log_probabilities, self.temperature.value)
            self.scaled_calibration = calibration_bins(self._confidence(scaled), self.correct)
            self.scaled_nll = mean_nll(scaled, targets)

    def _confidence(self, log_probabilities: Tensor) -> Tensor:
        return log_probabilities.gather(1, self.predictions.classes.unsqueeze(1)).squeeze(1).exp()

    def mistakes(self) -> list[int]:
        """Return the rows of the wrong predictions, the most confident first."""
        wrong = (~self.correct).nonzero().flatten()
        rows: list[int] = wrong[self.confidence[wrong].argsort(descending=True, stable=True)].tolist()
        return rows

    @property
    def confusion(self) -> Tensor:
        """How often class i (row) was predicted as class j (column), int64 `(K, K)`."""
        size = len(self.class_names)
        flat = torch.bincount(self.predictions.targets * size + self.predictions.classes, minlength=size * size)
        return flat.view(size, size)

    def confused_pairs(self) -> list[tuple[int, int, int]]:
        """Return true class, predicted class and count of each pair that was confused, the most frequent first."""
        size = len(self.class_names)
        wrong = (self.predictions.targets * size + self.predictions.classes)[~self.correct]
        codes, counts = wrong.unique(return_counts=True)
        found = zip(codes.tolist(), counts.tolist(), strict=True)
        return sorted(((code // size, code % size, count) for code, count in found), key=lambda pair: -pair[2])

    def confusions(self) -> list[tuple[str, str, int]]:
        """Return `confused_pairs` with the names of the classes."""
        names = self.class_names
        return [(names[true], names[predicted], count) for true, predicted, count in self.confused_pairs()]

    def macro_means(self) -> dict[str, float]:
        """Return precision, recall and F1, each as the mean over the classes for which it is defined."""
        means = torch.tensor([score[4:] for score in self.class_scores], dtype=torch.float64).nanmean(dim=0)
        return dict(zip(("precision", "recall", "f1"), means.tolist(), strict=True))

    def summary(self) -> dict[str, Any]:
        """Return all numbers for evaluation.json, in which NaN, for what is not defined, becomes null."""
        scores = self.class_scores
        return {
            "task": "classification",
            "samples": self.count,
            "right": self.correct_count,
            "accuracy": self.accuracy,
            "accuracy_interval_95": list(self.interval),
            "balanced_accuracy": self.macro_means()["recall"],
            "baseline_accuracy": self.baseline,
            "baseline_class": self.baseline_class,
            **{f"{name}_macro": mean for name, mean in self.macro_means().items()},
            "nll": mean_nll(self.predictions.log_probabilities, self.predictions.targets),
            "classes": [dict(zip(("name", *SCORE_COLUMNS), score, strict=True)) for score in scores],
            "class_names": self.class_names,
            **self._confusion_summary(),
            "calibration": self._calibration_summary(),
            "not_decoded": len(self.predictions.failures),
            **({} if self.binary is None else {"binary": self.binary.summary()}),
            **({} if self.suspects is None else self._suspects_summary(self.suspects)),
            **({} if self.mirror_gain is None else {"tta": self.mirror_gain.summary()}),
        }

    def _suspects_summary(self, suspects: Suspects) -> dict[str, Any]:
        return {"suspected_labels": len(suspects.found), "labels_looked_at": suspects.samples}

    def _confusion_summary(self) -> dict[str, Any]:
        if len(self.class_names) <= MAX_DENSE:
            return {"confusion": self.confusion.tolist()}
        return {"confusions": [list(row) for row in self.confusions()]}

    def _calibration_summary(self) -> dict[str, Any]:
        bins = self.calibration
        numbers = {"bins": len(bins.counts), "ece": bins.ece, "mean_probability": float(self.confidence.mean())}
        if self.temperature is not None and self.scaled_calibration is not None:
            numbers |= {
                "temperature": self.temperature.value,
                "fitted_on": self.temperature.samples,
                "ece_after": self.scaled_calibration.ece,
                "nll_after": self.scaled_nll,
            }
        return numbers
