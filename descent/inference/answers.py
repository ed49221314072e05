"""What a classifier answers, in the same form for each task: a choice and a runner-up, or labels."""

from typing import NamedTuple

import torch
from torch import Tensor

from descent.inference.loading import Trained
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier

Classifier = ImageClassifier | BinaryClassifier | MultilabelClassifier


def answering(trained: Trained) -> Classifier:
    """The module, if it answers with classes or labels.

    Raises:
        UserError: It does not.
    """
    if isinstance(trained.module, ImageClassifier | BinaryClassifier | MultilabelClassifier):
        return trained.module
    raise UserError(
        f"{trained.checkpoint} is of {_name(trained)}, which gives neither classes nor labels: "
        "descent predict without --images writes what it gives for the run's test data."
    )


def choosing(trained: Trained) -> ImageClassifier | BinaryClassifier:
    """The module, if it chooses one class.

    Raises:
        UserError: It does not.
    """
    if isinstance(trained.module, ImageClassifier | BinaryClassifier):
        return trained.module
    raise UserError(
        f"{trained.checkpoint} is of {_name(trained)}, which does not choose one class: "
        "descent test measures it by metrics of its own."
    )


def _name(trained: Trained) -> str:
    return type(trained.module).__name__


class Answers(NamedTuple):
    """One entry a sample.

    Args:
        choice: Classes `(N, 2)`: the answer, then the runner-up; of labels the two most probable.
        probability: Of these `(N, 2)`.
        labels: Which labels apply `(N, K)` bool; `None` where classes exclude one another.
        every: Probability of each label `(N, K)`; likewise.
    """

    choice: Tensor
    probability: Tensor
    labels: Tensor | None = None
    every: Tensor | None = None


def answers_of(module: Classifier, output: Tensor) -> Answers:
    """Answers from what a module's `forward` gives; on its device."""
    probabilities = module.probabilities(output)
    if isinstance(module, BinaryClassifier):
        yes = (probabilities[:, 1] >= module.threshold).long()
        choice = torch.stack([yes, 1 - yes], dim=1)
        return Answers(choice, probabilities.gather(1, choice))
    top = probabilities.topk(min(2, probabilities.shape[1]), dim=1)
    if isinstance(module, MultilabelClassifier):
        return Answers(top.indices, top.values, probabilities >= module.threshold, probabilities)
    return Answers(top.indices, top.values)


def joined(parts: list[Answers]) -> Answers:
    """The answers of all batches, on the CPU."""
    columns = [None if column[0] is None else torch.cat(column).cpu() for column in zip(*parts, strict=True)]
    assert columns[0] is not None
    assert columns[1] is not None
    return Answers(columns[0], columns[1], columns[2], columns[3])
