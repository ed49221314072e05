"""Classify every pixel of an image."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MetricCollection

from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.losses.cross_entropy import WeightedCrossEntropyLoss
from lightning_modules.losses.input_contract import input_contract
from lightning_modules.tasks.defined_metrics import Dice, IoU, LabelledAccuracy
from lightning_modules.tasks.sigmoid_task import Scale, convert, one_logit, scale_for_loss


class Segmenter(Task):
    """Classify each pixel into one of K classes; logs loss, accuracy, intersection over union and Dice.

    With two classes and a binary loss (binary Dice, binary cross-entropy) the segmentation is binary: class 1 is
    positive, and the network gives one logit per pixel, or two, whose difference is used.

    Args:
        network: Maps images `(B, C, H, W)` to logits `(B, K, H, W)`.
        optimizer: Creates the optimizer from the parameters.
        loss: Called as `loss(logits, target)` with classes `(B, H, W)`; default cross-entropy.
        num_classes: K. Taken from the data by default; needed only for data that has no `num_classes`.
        ignore_index: Class number of unlabelled pixels, which the metrics leave out. A loss has its own argument.
        **kwargs: `scheduler`, `channels_last` and `parameter_groups`, see `SupervisedModule`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        num_classes: int | None = None,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> None:
        loss = loss or WeightedCrossEntropyLoss(ignore_index=ignore_index)  # torch's is NaN if no pixel is labelled
        super().__init__(network, loss, optimizer, **kwargs)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        expected = input_contract(self.loss)
        self.binary = expected is not None and expected.over == "elements"

    def setup(self, stage: str) -> None:
        """Take the number of classes from the data."""
        self.num_classes = self.classes_of_data("num_classes")
        if self.binary and self.num_classes != 2:
            raise UserError(
                f"{type(self.loss).__name__} is for binary segmentation; the data has {self.num_classes} classes: "
                "choose a loss over classes, e.g. losses/dice.yaml or losses/cross_entropy_weighted.yaml."
            )
        self._check_binary_weights()
        super().setup(stage)

    def _check_binary_weights(self) -> None:
        """Refuse a list, which would weigh the rows of `(B, H, W)` as if they were labels."""
        for name in ("pos_weight", "alpha"):
            weights = getattr(self.loss, name, None)
            if self.binary and isinstance(weights, Tensor) and weights.numel() > 1:
                raise UserError(
                    f"{type(self.loss).__name__}: {name} has {weights.numel()} numbers, but binary segmentation has one"
                    f" positive class: give one number, e.g. --model.loss.{name} {weights.flatten()[-1]:g}."
                )

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """Require one logit per class and pixel; for binary segmentation one per pixel is enough."""
        expected = (2, self.num_classes, *data.image_size)
        if shape != expected and not (self.binary and shape == (2, 1, *data.image_size)):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 images; expected {expected}: logits for each of "
                "the data's classes and pixels, as lightning_modules.networks.UNet gives."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `(B, K, H, W)`; if binary, `(B, H, W)`, as probabilities if the loss needs those."""
        logits = super().forward(inputs)
        return convert(one_logit(logits), "logits", self._binary_scale) if self.binary else logits

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the loss; torch's own binary losses need floating-point targets."""
        if type(self.loss) is nn.CrossEntropyLoss and torch.are_deterministic_algorithms_enabled():
            # For pixels torch's has no deterministic code on a GPU; as rows it has the same mean.
            return super().criterion(output.movedim(1, -1).flatten(0, -2), target.flatten())
        return super().criterion(output, target.to(output.dtype) if self.binary else target)

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the accuracy over the labelled pixels."""
        labelled = target != self.ignore_index
        return {"accuracy": ((self.mask(output) == target) & labelled).sum() / labelled.sum().clamp_min(1)}

    def make_metrics(self) -> MetricCollection:
        """Create accuracy over all pixels, and IoU and Dice as the mean over classes."""
        classes = self.num_classes or 2
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "validate_args": False}
        return MetricCollection(
            {
                "accuracy": LabelledAccuracy(classes, **options),
                "iou": IoU(classes, average="macro", **options),
                "dice": Dice(classes, **options),
            },
            compute_groups=[["accuracy", "iou", "dice"]],  # of one confusion matrix
        )

    def metric_inputs(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the predicted and the true class of each pixel."""
        return self.mask(output), target

    def mask(self, output: Tensor) -> Tensor:
        """Return the class of each pixel `(B, H, W)`."""
        if not self.binary:
            return output.argmax(dim=1)
        return (convert(output.float(), self._binary_scale, "probabilities") >= 0.5).long()

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return the class of each pixel `(B, H, W)`."""
        return {"mask": self.mask(output)}

    @property
    def _binary_scale(self) -> Scale:
        return scale_for_loss(self.loss, "logits")
