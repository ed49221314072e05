"""What a classifier answers, in the same form for each task: a choice and a runner-up, or labels."""

from typing import NamedTuple

import torch
from torch import Tensor

from lightning_modules import BinaryClassifier, MultilabelClassifier
from trained.task import Classifier


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
