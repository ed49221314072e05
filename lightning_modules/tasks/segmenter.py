"""Images into a class for every pixel."""

from typing import Any

from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score, MulticlassJaccardIndex

from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.losses.cross_entropy import WeightedCrossEntropyLoss
from lightning_modules.losses.input_contract import input_contract
from lightning_modules.optimizers.parameter_groups import ParameterGroups
from lightning_modules.schedulers.factory import ScheduleFactory
from lightning_modules.tasks.binary_output import convert, one_logit, wanted


class Segmenter(Task):
    """Say of each pixel which of K classes it shows; logs loss, accuracy, intersection over union and Dice.

    With two classes and a loss over yes-or-no questions (binary Dice, binary cross-entropy) the pixels of class 1 are
    asked for: the network gives one logit a pixel, or two, of which the difference counts.

    Args:
        network: Maps images `(B, C, H, W)` to logits `(B, K, H, W)`.
        optimizer: Makes the optimizer from the parameters.
        loss: Called as `loss(logits, target)` with classes `(B, H, W)`; default cross-entropy.
        scheduler: Makes the learning-rate schedule; `None` keeps the rate.
        channels_last: See `SupervisedModule`.
        parameter_groups: See `SupervisedModule`.
        num_classes: K. By default that of the data; needed only with data that does not say it.
        ignore_index: Class number of pixels that are not labelled: they are not measured. A loss has its own.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        scheduler: ScheduleFactory | LRSchedulerCallable | None = None,
        channels_last: bool = True,
        num_classes: int | None = None,
        ignore_index: int = 255,
        parameter_groups: ParameterGroups | None = None,
    ) -> None:
        loss = loss or WeightedCrossEntropyLoss(ignore_index=ignore_index)  # torch's is NaN where nothing is labelled
        super().__init__(network, loss, optimizer, scheduler, channels_last, parameter_groups)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        expected = input_contract(self.loss)
        self.binary = expected is not None and expected.over == "elements"

    def setup(self, stage: str) -> None:
        """Take the number of classes from the data."""
        self.num_classes = getattr(getattr(self.trainer, "datamodule", None), "num_classes", self.num_classes)
        if self.num_classes is None:
            raise UserError(
                "The number of classes is unknown: give Segmenter(num_classes=…), or data that has num_classes."
            )
        if self.binary and self.num_classes != 2:
            raise UserError(
                f"{type(self.loss).__name__} asks yes or no of each pixel; the data has {self.num_classes} classes: "
                "choose a loss over classes, e.g. losses/dice.yaml or losses/cross_entropy_weighted.yaml."
            )
        super().setup(stage)

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """One logit a class and pixel; one a pixel will do for yes or no."""
        expected = (2, self.num_classes, *data.image_size)
        if shape != expected and not (self.binary and shape == (2, 1, *data.image_size)):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 images; expected {expected}: logits for each of "
                "the data's classes and pixels, as lightning_modules.networks.UNet gives."
            )

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits `(B, K, H, W)`; for yes or no `(B, H, W)`, as probabilities where the loss wants those."""
        logits = super().forward(inputs)
        return convert(one_logit(logits), "logits", wanted(self.loss, "logits")) if self.binary else logits

    def criterion(self, output: Tensor, target: Tensor) -> Tensor:
        """The loss; torch's own over yes-or-no questions want targets in floating point."""
        return super().criterion(output, target.to(output.dtype) if self.binary else target)

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Share of the labelled pixels that are right."""
        known = target != self.ignore_index
        return {"accuracy": ((self.mask(output) == target) & known).sum() / known.sum().clamp_min(1)}

    def make_metrics(self) -> MetricCollection:
        """Over all pixels of a stage together; IoU and Dice as the mean over classes."""
        classes = self.num_classes or 2
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "validate_args": False}
        return MetricCollection(
            {
                "accuracy": MulticlassAccuracy(classes, average="micro", **options),
                "iou": MulticlassJaccardIndex(classes, average="macro", **options),
                "dice": MulticlassF1Score(classes, average="macro", **options),
            }
        )

    def measured(self, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Classes of the pixels."""
        return self.mask(output), target

    def mask(self, output: Tensor) -> Tensor:
        """Class of each pixel `(B, H, W)`."""
        if not self.binary:
            return output.argmax(dim=1)
        given = wanted(self.loss, "logits")
        return (convert(output.float(), given, "probabilities") >= 0.5).long()

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Class of each pixel `(B, H, W)`."""
        return {"mask": self.mask(output)}

    def logged_metrics(self) -> set[str]:
        """Also the training accuracy."""
        return super().logged_metrics() | {"train/accuracy"}
