"""Class weights from the training labels."""

from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from foundation.compat.torch import has_buffer
from foundation.errors import UserError

Method = Literal["inverse", "effective"]


class ClassWeights(Callback):
    r"""Give the loss a weight for each class, from how often it stands in the training labels.

    With :math:`n_c` labels of class c among N, of C classes: ``inverse`` is :math:`N / (C n_c)`; ``effective`` is
    proportional to :math:`(1 - β) / (1 - β^{n_c})`, between no weights (β = 0) and ``inverse`` (β → 1). Either way the
    labels weigh 1 on average.

    Weights go into ``class_weights`` or ``weight`` of the loss (weighted cross-entropy, focal, Dice, torch's
    cross-entropy). They stay out of checkpoints: they are counted anew from the data.

    Args:
        method: ``inverse`` or ``effective``.
        beta: β in [0, 1), of ``effective``: about 1/(1 − β) labels of a class tell something new.

    Raises:
        ValueError: An unknown method, or a beta outside [0, 1).
        UserError: The loss takes no class weights or has been given some, the data does not tell its
            labels, or a class has none.

    Reference:
        Cui, Jia, Lin, Song, Belongie: Class-balanced loss based on effective number of samples, 2019.
    """

    def __init__(self, method: Method = "inverse", beta: float = 0.999) -> None:
        if method not in ("inverse", "effective"):
            raise ValueError(f"method must be 'inverse' or 'effective', got {method!r}.")
        if not 0 <= beta < 1:
            raise ValueError(f"beta must be in [0, 1), got {beta:g}.")
        self.method, self.beta = method, beta
        self.given: nn.Module | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Count the labels and weigh; the same for every stage, so that losses compare."""
        loss: Any = getattr(pl_module, "loss", None)
        name = next(
            (name for name in ("class_weights", "weight") if isinstance(loss, nn.Module) and has_buffer(loss, name)),
            None,
        )
        if name is None:
            raise UserError(
                f"{type(loss).__name__} takes no class weights: choose losses/cross_entropy_weighted.yaml, "
                "losses/focal.yaml or losses/dice.yaml, or leave ClassWeights out."
            )
        if getattr(loss, name) is not None and loss is not self.given:
            raise UserError(f"{type(loss).__name__} has weights already: leave its {name} out, or ClassWeights.")
        data: Any = getattr(trainer, "datamodule", None)
        weights = class_weights(label_counts(data), self.method, self.beta, getattr(data, "class_names", None))
        loss.register_buffer(name, weights.to(pl_module.device), persistent=False)
        self.given = loss
        shown = ", ".join(f"{weight:.3g}" for weight in weights.tolist()[:10])
        rank_zero_info(f"class weights ({self.method}): {shown}{', …' if len(weights) > 10 else ''}")


def label_counts(data: Any) -> Tensor:
    """How often each class stands in the training labels `(C,)`; labels outside the classes are not labelled.

    Raises:
        UserError: The data module does not tell its training labels.
    """
    if getattr(data, "train_set", None) is None and hasattr(data, "open"):
        data.open("fit")
    rows: Any = getattr(data, "train_set", None)
    if not hasattr(rows, "images"):
        raise UserError(
            "ClassWeights counts the labels of data modules that hold them in memory (those of datamodules); for "
            "others give the loss its weights in the config: model.loss.class_weights."
        )
    labels = rows.images.targets[rows.rows].flatten().long()
    return torch.bincount(labels[labels < data.num_classes], minlength=data.num_classes)


def class_weights(counts: Tensor, method: Method, beta: float = 0.999, names: list[str] | None = None) -> Tensor:
    """Weights `(C,)` of classes with these counts, the mean over all labels being 1.

    Raises:
        UserError: A class has no label.

    Example:
        >>> class_weights(torch.tensor([3, 1]), "inverse")
        tensor([0.6667, 2.0000])
    """
    if (counts == 0).any():
        missing = [names[c] if names else str(c) for c in (counts == 0).nonzero().flatten().tolist()]
        raise UserError(f"no training label is of class {', '.join(missing)}: it has no weight.")
    n = counts.double()
    weights = 1 / n if method == "inverse" else (1 - beta) / (1 - beta**n)
    return (weights * n.sum() / (weights * n).sum()).float()
