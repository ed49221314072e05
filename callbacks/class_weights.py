"""Weight the classes of the loss by how often they occur in the training labels."""

from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn

from foundation.argument_checks import require_choice, require_momentum
from foundation.compat.torch import has_buffer
from foundation.errors import UserError

Method = Literal["inverse", "effective"]
_OF_SAMPLES = (nn.BCELoss, nn.BCEWithLogitsLoss)  # their `weight` is one for each sample of a batch, not for each class


class ClassWeights(Callback):
    r"""Set the class weights of the loss from the class frequencies in the training labels.

    With :math:`n_c` labels of class c among N, of C classes: ``inverse`` is :math:`N / (C n_c)`; ``effective`` is
    proportional to :math:`(1 - β) / (1 - β^{n_c})`, between no weights (β = 0) and ``inverse`` (β → 1). Both are scaled
    so that the mean weight over all labels is 1.

    The weights become ``class_weights`` or ``weight`` of the loss (weighted cross-entropy, focal, Dice, torch's
    cross-entropy). Checkpoints do not hold them: they are counted again from the data. Nothing is logged.

    Args:
        method: ``inverse`` or ``effective``.
        beta: β in [0, 1), for ``effective``: about 1/(1 − β) labels of a class add information.

    Raises:
        ValueError: An unknown method, or a beta outside [0, 1).
        UserError: The loss takes no class weights or already has some, the data gives no access to its labels, an image
            has several, or a class has none.

    Reference:
        Cui, Jia, Lin, Song, Belongie: Class-balanced loss based on effective number of samples, 2019.
    """

    def __init__(self, method: Method = "inverse", beta: float = 0.999) -> None:
        require_choice("method", method, ("inverse", "effective"))
        require_momentum("beta", beta)
        self.method, self.beta = method, beta
        self.weighted_loss: nn.Module | None = None
        self.name = ""  # of its weights

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Count the labels and set the weights, the same for every stage, so that losses are comparable."""
        loss: Any = getattr(pl_module, "loss", None)
        can = isinstance(loss, nn.Module) and not isinstance(loss, _OF_SAMPLES)
        name = next((n for n in ("class_weights", "weight") if can and has_buffer(loss, n)), None)
        if name is None:
            raise UserError(
                f"{type(loss).__name__} takes no class weights: choose losses/cross_entropy_weighted.yaml, "
                "losses/focal.yaml or losses/dice.yaml, or remove ClassWeights."
            )
        if getattr(loss, name) is not None and loss is not self.weighted_loss:
            raise UserError(f"{type(loss).__name__} already has weights: remove its {name}, or ClassWeights.")
        self.weighted_loss, self.name = loss, name
        self._weigh(trainer, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count again, because a checkpoint may have brought the split of an earlier version."""
        self._weigh(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise for `validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING:  # not in a fit, whose split stays
            self._weigh(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise for `test`."""
        self._weigh(trainer, pl_module)

    def _weigh(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data, loss = getattr(trainer, "datamodule", None), self.weighted_loss
        assert loss is not None
        weights = class_weights(label_counts(data), self.method, self.beta, getattr(data, "class_names", None))
        known = getattr(loss, self.name)
        if known is not None and torch.equal(known.cpu(), weights):
            return
        loss.register_buffer(self.name, weights.to(pl_module.device), persistent=False)
        shown = ", ".join(f"{weight:.3g}" for weight in weights.tolist()[:10])
        rank_zero_info(f"class weights ({self.method}): {shown}{', …' if len(weights) > 10 else ''}")


def label_counts(data: Any) -> Tensor:
    """Count the training labels of each class, `(C,)`; values outside the classes mean unlabelled.

    Raises:
        UserError: The data module gives no access to its training labels, or they are no classes.
    """
    if getattr(data, "train_set", None) is None and hasattr(data, "open"):
        data.open("fit")
    rows: Any = getattr(data, "train_set", None)
    if not hasattr(rows, "images"):
        raise UserError(
            "ClassWeights needs a data module that holds its labels in memory (those of datamodules); for others "
            "give the loss its weights in the config: model.loss.class_weights."
        )
    labels = rows.images.targets[rows.rows].flatten()
    if labels.is_floating_point():
        raise UserError(
            "ClassWeights counts the classes of images that have one class each; the targets of these are several "
            "labels, or numbers. Remove it; for several labels, losses/bce_logits.yaml takes weights: "
            "model.loss.pos_weight."
        )
    known = labels[(labels >= 0) & (labels < data.num_classes)].long()
    return torch.bincount(known, minlength=data.num_classes)


def class_weights(counts: Tensor, method: Method, beta: float = 0.999, names: list[str] | None = None) -> Tensor:
    """Return class weights `(C,)` for these counts; their mean over all labels is 1.

    Raises:
        UserError: A class has no label.

    Example:
        >>> class_weights(torch.tensor([3, 1]), "inverse")
        tensor([0.6667, 2.0000])
    """
    if (counts == 0).any():
        missing = [names[c] if names else str(c) for c in (counts == 0).nonzero().flatten().tolist()]
        raise UserError(f"no training label is of class {', '.join(missing)}, so it gets no weight.")
    n = counts.double()
    weights = 1 / n if method == "inverse" else (1 - beta) / (1 - beta**n)
    return (weights * n.sum() / (weights * n).sum()).float()
