"""Samples whose label is probably wrong: the network, which was not trained on them, confidently disagrees."""

from typing import NamedTuple

import torch
from torch import Tensor

from descent.inference.evaluation.outputs import Samples

COLUMNS = ("sample", "set", "given_class", "suggested_class", "probability_of_given", "probability_of_suggested")
CHUNK = 2048
"""Samples that are looked at together: with thousands of classes their probabilities take much memory."""


class Suspect(NamedTuple):
    """A sample whose label is probably wrong.

    Args:
        row: The sample, counted from 0.
        given: Class of its label.
        suggested: Class that the network suggests.
        probability_of_given: Probability of the label's class.
        probability_of_suggested: Probability of the suggested class.
    """

    row: int
    given: int
    suggested: int
    probability_of_given: float
    probability_of_suggested: float


def suspected_labels(log_probabilities: Tensor, targets: Tensor) -> list[Suspect]:
    r"""Find samples whose label is probably wrong, by confident learning; the clearest disagreement comes first.

    A class j has the threshold :math:`t_j`, the mean of its probability over the samples labelled j. A sample labelled
    i is suspected if the most probable class j ≠ i among those with :math:`p_j \ge t_j` exists, and is more probable
    than i. Suspects are ordered by the margin :math:`p_j - p_i`. Time and memory grow with N · K.

    Args:
        log_probabilities: Of a network that was not trained on these samples.
        targets: Classes of the labels.

    Shape:
        log_probabilities `(N, K)`, targets `(N,)`.

    Example:
        >>> probabilities = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.05, 0.95]])
        >>> found = suspected_labels(probabilities.log(), torch.tensor([0, 0, 1, 0]))
        >>> [(suspect.row, suspect.given, suspect.suggested) for suspect in found]
        [(3, 0, 1)]

    Reference:
        C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021.
    """
    classes = log_probabilities.shape[1]
    own = log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1).exp()
    labelled = torch.bincount(targets, minlength=classes)
    thresholds = torch.zeros(classes, dtype=own.dtype).index_add_(0, targets, own) / labelled  # NaN: no such label
    best = [
        _best_other(rows.exp(), of_rows, thresholds)
        for rows, of_rows in zip(log_probabilities.split(CHUNK), targets.split(CHUNK), strict=True)
    ]
    confidence, suggested = (torch.cat(column) for column in zip(*best, strict=True))
    margin = confidence - own
    rows = (margin > 0).nonzero().flatten()
    rows = rows[margin[rows].argsort(descending=True, stable=True)]
    columns = rows, targets[rows], suggested[rows], own[rows], confidence[rows]
    return [Suspect(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _best_other(probabilities: Tensor, targets: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Return the highest probability of another class that reaches its threshold, −1 without one, and that class."""
    others = probabilities.where(probabilities >= thresholds, -1.0).scatter(1, targets.unsqueeze(1), -1.0)
    confidence, suggested = others.max(dim=1)
    return confidence, suggested


class LabelledSet(NamedTuple):
    """Samples with labels that the network was not trained on.

    Args:
        name: ``test``, ``validation`` or the folder.
        log_probabilities: `(N, K)`.
        targets: `(N,)`.
        samples: Names and images.
    """

    name: str
    log_probabilities: Tensor
    targets: Tensor
    samples: Samples


class Suspects(NamedTuple):
    """The suspects of several sets together.

    Args:
        found: Pairs of set and suspect, the clearest first.
        samples: How many samples were looked at.
    """

    found: list[tuple[LabelledSet, Suspect]]
    samples: int


def suspects_of(sets: list[LabelledSet]) -> Suspects:
    """Look for suspects in each set."""
    pairs = [(part, suspect) for part in sets for suspect in suspected_labels(part.log_probabilities, part.targets)]
    pairs.sort(key=lambda pair: pair[1].probability_of_given - pair[1].probability_of_suggested)
    return Suspects(pairs, sum(len(part.targets) for part in sets))


def suspect_rows(found: Suspects, class_names: list[str]) -> list[list[object]]:
    """Return the table in `COLUMNS`."""
    return [
        [
            part.samples.names[suspect.row], part.name, class_names[suspect.given], class_names[suspect.suggested],
            f"{suspect.probability_of_given:.6f}", f"{suspect.probability_of_suggested:.6f}",
        ]
        for part, suspect in found.found
    ]  # fmt: skip
