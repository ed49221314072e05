"""The classifiers that can be used for prediction, and their predictions in one form for every task."""

from typing import NamedTuple

import torch
from torch import Tensor

from descent.inference.loading import TrainedNetwork
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier

SingleLabelClassifier = ImageClassifier | BinaryClassifier
Classifier = SingleLabelClassifier | MultilabelClassifier


def require_classifier(trained: TrainedNetwork) -> Classifier:
    """Return the module if it predicts classes or labels.

    Raises:
        UserError: It is for another task.
    """
    if isinstance(trained.module, Classifier):
        return trained.module
    raise UserError(
        f"{trained.checkpoint} holds a {type(trained.module).__name__}, which predicts neither classes nor labels. "
        "descent predict without --images writes its predictions for the run's test data."
    )


class Predictions(NamedTuple):
    """Predictions for N samples.

    Args:
        classes: `(N, 2)`: the predicted class and the runner-up; of a multi-label classifier the two most probable
            labels.
        probabilities: Their probabilities `(N, 2)`.
        labels: Which of the K labels apply `(N, K)` bool; `None` for a single-label classifier.
        label_probabilities: Probability of each label `(N, K)`; `None` for a single-label classifier.
    """

    classes: Tensor
    probabilities: Tensor
    labels: Tensor | None = None
    label_probabilities: Tensor | None = None


def predictions_from_output(module: Classifier, output: Tensor) -> Predictions:
    """Turn the output of the module's `forward` into predictions, on the same device."""
    probabilities = module.probabilities(output)
    if isinstance(module, BinaryClassifier):
        positive = (probabilities[:, 1] >= module.threshold).long()
        classes = torch.stack([positive, 1 - positive], dim=1)
        return Predictions(classes, probabilities.gather(1, classes))
    top = probabilities.topk(min(2, probabilities.shape[1]), dim=1)
    if isinstance(module, MultilabelClassifier):
        return Predictions(top.indices, top.values, probabilities >= module.threshold, probabilities)
    return Predictions(top.indices, top.values)


def concatenate(batches: list[Predictions]) -> Predictions:
    """Join the predictions of all batches, on the CPU."""
    fields = zip(*batches, strict=True)
    return Predictions(*(None if field[0] is None else torch.cat(field).cpu() for field in fields))  # type: ignore[arg-type]
