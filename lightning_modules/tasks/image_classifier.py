"""Classify images into one of several classes."""

from typing import Any

from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from foundation.errors import UserError
from lightning_modules.base.task import Task
from lightning_modules.tasks.defined_metrics import ClassAccuracy


class ImageClassifier(Task):
    """Classify images `(B, C, H, W)` into K classes; logs loss and accuracy (top-1, and top-5 where K > 5).

    Args:
        network: Maps images `(B, C, H, W)` to logits `(B, K)`.
        optimizer: Creates the optimizer from the parameters, e.g. `partial(torch.optim.AdamW, lr=1e-3)`.
        loss: Called as `loss(logits, target)` with classes `(B,)`; default cross-entropy.
        num_classes: K. Taken from the data by default; needed only for data that has no `num_classes`.
        **kwargs: `scheduler`, `channels_last` and `parameter_groups`, see `SupervisedModule`.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable,
        loss: nn.Module | None = None,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(network, loss or nn.CrossEntropyLoss(), optimizer, **kwargs)
        self.num_classes = num_classes

    def setup(self, stage: str) -> None:
        """Take the number of classes from the data.

        Raises:
            UserError: The module and the data disagree, or neither knows the number.
        """
        num_classes = self.classes_of_data("num_classes")
        if self.num_classes not in (None, num_classes):
            raise UserError(
                f"num_classes is {self.num_classes} in the module, but the data has {num_classes} classes. "
                "Leave it out of the module: it is taken from the data."
            )
        self.num_classes = num_classes
        super().setup(stage)

    def check_output(self, shape: tuple[int, ...], data: Any) -> None:
        """Require one logit per class."""
        if shape != (2, self.num_classes):
            raise UserError(
                f"{type(self.network).__name__} gives {shape} for 2 images; the data has {self.num_classes} classes, "
                f"expected {(2, self.num_classes)}. A network with an argument num_classes gets it from the data; "
                "any other must have as many outputs as there are classes."
            )

    def batch_metrics(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Return the accuracy of the batch; for mixed targets `(B, K)` the larger share is the true class."""
        classes = target.argmax(dim=1) if target.ndim == output.ndim else target
        return {"accuracy": (output.argmax(dim=1) == classes).float().mean()}

    def make_metrics(self) -> MetricCollection:
        """Create the top-1 accuracy, and the top-5 accuracy where there are more than five classes."""
        classes = self.num_classes or 2
        metrics: dict[str, Metric | MetricCollection] = {
            "accuracy": ClassAccuracy(classes, average="micro", validate_args=False)
        }
        if classes > 5:
            metrics["accuracy_top5"] = ClassAccuracy(classes, top_k=5, average="micro", validate_args=False)
        return MetricCollection(metrics)

    def probabilities(self, output: Tensor) -> Tensor:
        """Return the probability of each class `(B, K)`, from what `forward` returns."""
        return output.float().softmax(dim=1)

    def log_probabilities(self, output: Tensor) -> Tensor:
        """Return log-probabilities `(B, K)`, exact even where a probability underflows."""
        return output.float().log_softmax(dim=1)

    def prediction_columns(self, output: Tensor) -> dict[str, Tensor]:
        """Return the most probable class and the runner-up, and the probability of both, each `(B,)`."""
        top = self.probabilities(output).topk(2, dim=1)
        return {
            "class": top.indices[:, 0],
            "probability": top.values[:, 0],
            "runner_up": top.indices[:, 1],
            "runner_up_probability": top.values[:, 1],
        }
