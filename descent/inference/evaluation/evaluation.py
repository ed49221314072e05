"""Everything that is measured on a classifier, as numbers."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torchmetrics.functional.classification import multiclass_confusion_matrix

from descent.inference.evaluation.calibration import Reliability, Temperature, mean_nll, reliability, scaled
from descent.inference.evaluation.class_scores import ClassScore, class_scores, mean, wilson
from descent.inference.evaluation.outputs import Outputs


@dataclass
class Evaluation:
    """How good a classifier is.

    Args:
        outputs: What it gave.
        class_names: Of the network.
        temperature: Fitted on the validation data; `None` where there was none.
    """

    outputs: Outputs
    class_names: list[str]
    temperature: Temperature | None = None

    def __post_init__(self) -> None:
        self.right = self.outputs.choices == self.outputs.targets
        self.count, self.hits = len(self.right), int(self.right.sum())
        self.accuracy, self.interval = self.hits / self.count, wilson(self.hits, self.count)
        self.confusion = multiclass_confusion_matrix(self.outputs.choices, self.outputs.targets, len(self.class_names))
        self.classes: list[ClassScore] = class_scores(self.confusion, self.class_names)
        self.probability = self._of_choice(self.outputs.log_probabilities)
        self.before = reliability(self.probability, self.right)
        self.after: Reliability | None = None
        if self.temperature is not None:
            self.cooled = scaled(self.outputs.log_probabilities, self.temperature.value)
            self.after = reliability(self._of_choice(self.cooled), self.right)

    def _of_choice(self, log_probabilities: Tensor) -> Tensor:
        return log_probabilities.exp().gather(1, self.outputs.choices.unsqueeze(1)).squeeze(1)

    def mistakes(self) -> list[int]:
        """Places of the wrong answers, the surest first."""
        wrong = (~self.right).nonzero().flatten()
        order: list[int] = wrong[self.probability[wrong].argsort(descending=True, stable=True)].tolist()
        return order

    def confusions(self) -> list[tuple[int, str, str]]:
        """How often which class was taken for which other, the most often first."""
        names = self.class_names
        found = [
            (int(self.confusion[i, j]), names[i], names[j]) for i, j in self.confusion.nonzero().tolist() if i != j
        ]
        return sorted(found, key=lambda one: -one[0])

    def summary(self) -> dict[str, Any]:
        """All of it for JSON; what is not defined is null."""
        return {
            "samples": self.count,
            "right": self.hits,
            "accuracy": self.accuracy,
            "accuracy_interval_95": list(self.interval),
            "precision_macro": mean([score.precision for score in self.classes]),
            "recall_macro": mean([score.recall for score in self.classes]),
            "f1_macro": mean([score.f1 for score in self.classes]),
            "nll": mean_nll(self.outputs.log_probabilities, self.outputs.targets),
            "classes": [score._asdict() for score in self.classes],
            "class_names": self.class_names,
            "confusion": self.confusion.tolist(),
            "calibration": self._calibration(),
            "not_decoded": len(self.outputs.failures),
        }

    def _calibration(self) -> dict[str, Any]:
        found: dict[str, Any] = {"bins": len(self.before.answers), "ece": self.before.error}
        found["mean_probability"] = float(self.probability.mean())
        if self.temperature is not None and self.after is not None:
            found |= {
                "temperature": self.temperature.value,
                "fitted_on": self.temperature.samples,
                "ece_after": self.after.error,
                "nll_after": mean_nll(self.cooled, self.outputs.targets),
            }
        return found
