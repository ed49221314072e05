"""The classifiers that can be used for prediction, and their predictions in one form for every task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
        classes: `(N, k)`: the predicted class first, then the next most probable; of a multi-label classifier the most
            probable labels.
        probabilities: Their probabilities `(N, k)`.
        labels: Which of the K labels apply `(N, K)` bool; `None` for a single-label classifier.
        label_probabilities: Probability of each label `(N, K)`; `None` for a single-label classifier.
        class_probabilities: Probability of each class `(N, K)`; `None` unless it was asked for.
    """

    classes: Tensor
    probabilities: Tensor
    labels: Tensor | None = None
    label_probabilities: Tensor | None = None
    class_probabilities: Tensor | None = None


@dataclass(frozen=True)
class AnswerOptions:
    """How predictions are made from a network's outputs.

    Args:
        top_k: How many classes per sample, ≥ 1; at most all.
        every_class: Whether to keep the probability of every class.
        threshold: From which probability on the positive class or a label is predicted, one number or one for each
            label `(K,)`; default: the module's.
        temperature: The logits are divided by it, > 0; 1 leaves them as they are.
    """

    top_k: int = 2
    every_class: bool = False
    threshold: float | Tensor | None = None
    temperature: float = 1.0


AS_TRAINED = AnswerOptions()


def mean_probabilities(module: Classifier, outputs: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
    """Return probabilities `(B, K)`, the mean over the outputs for several views of the same B samples.

    Args:
        module: The classifier.
        outputs: What its `forward` returned for each view.
        temperature: See `AnswerOptions`; of a multi-label classifier it must be 1.
    """
    if temperature == 1 or isinstance(module, MultilabelClassifier):
        found = [module.probabilities(output) for output in outputs]
        return found[0] if len(found) == 1 else torch.stack(found).mean(dim=0)
    return (mean_log_probabilities(module, outputs) / temperature).softmax(dim=1)


def mean_log_probabilities(module: SingleLabelClassifier, outputs: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean probabilities `(B, K)` of several views of the same B samples."""
    found = [module.log_probabilities(output) for output in outputs]
    return found[0] if len(found) == 1 else torch.stack(found).logsumexp(dim=0) - math.log(len(found))


def predictions_from_output(module: Classifier, *outputs: Tensor, options: AnswerOptions = AS_TRAINED) -> Predictions:
    """Turn the outputs of the module's `forward` for one or several views into predictions, on the same device."""
    probabilities = mean_probabilities(module, outputs, options.temperature)
    threshold = _threshold(module, options, probabilities)
    every = probabilities if options.every_class else None
    top_k = min(options.top_k, probabilities.shape[1])
    if isinstance(module, BinaryClassifier):
        positive = (probabilities[:, 1] >= threshold).long()
        classes = torch.stack([positive, 1 - positive], dim=1)[:, :top_k]
        return Predictions(classes, probabilities.gather(1, classes), class_probabilities=every)
    top = probabilities.topk(top_k, dim=1)
    if isinstance(module, MultilabelClassifier):
        return Predictions(top.indices, top.values, probabilities >= threshold, probabilities)
    return Predictions(top.indices, top.values, class_probabilities=every)


def _threshold(module: Classifier, options: AnswerOptions, probabilities: Tensor) -> float | Tensor:
    if isinstance(options.threshold, Tensor):
        return options.threshold.to(probabilities)
    return getattr(module, "threshold", 0.5) if options.threshold is None else options.threshold


def concatenate(batches: list[Predictions]) -> Predictions:
    """Join the predictions of all batches, on the CPU."""
    fields = zip(*batches, strict=True)
    return Predictions(*(None if field[0] is None else torch.cat(field).cpu() for field in fields))  # type: ignore[arg-type]
