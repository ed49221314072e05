"""The exported model (normalisation, network and activation in one module) and its metadata."""

import copy
import json
from typing import Any

import torch
from torch import Tensor, nn

from datamodules import ImageDataModule
from datamodules.memory.images import middle
from descent.inference.classifiers import Classifier, require_classifier
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.prediction import image_format
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, MultilabelClassifier

INPUT, OUTPUT = "images", "probabilities"


class ExportedClassifier(nn.Module):
    """Map images, as files hold them, to probabilities, in float32.

    Args:
        module: A classifier; it is copied.
        mean: Mean of each channel, in [0, 1].
        std: Standard deviation of each channel, > 0.
        white: The value that 255 is scaled to, see `ImageDataModule.white`.
        size: Height and width of the middle of the images that the network gets; None for all of them.

    Shape:
        uint8 `(B, H, W, C)`, as in Pillow and numpy → `(B, K)`. The probabilities of classes sum to 1, also the two of
        a binary classifier; those of labels are independent of one another.
    """

    offset: Tensor
    scale: Tensor

    def __init__(
        self,
        module: Classifier,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        white: int = 255,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).float().cpu().eval()
        self.white, self.size = white, size
        self.register_buffer("offset", (255 * torch.tensor(mean, dtype=torch.float64)).float())
        self.register_buffer("scale", (1 / (255 * torch.tensor(std, dtype=torch.float64))).float())

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities."""
        values = images.float()
        if self.white != 255:
            values = ((values * self.white + 127) / 255).floor()
        normalised = ((values - self.offset) * self.scale).permute(0, 3, 1, 2)
        if self.size is not None:
            normalised = middle(normalised, self.size)
        return self.module.probabilities(self.module(normalised))


def build_exported_classifier(trained: TrainedNetwork) -> ExportedClassifier:
    """Build the exported model of a trained network.

    Raises:
        UserError: The network does not classify images.
    """
    module = require_classifier(trained)
    image_format(trained)
    data = trained.data
    assert isinstance(data, ImageDataModule)  # checked by image_format
    return ExportedClassifier(module, *data.statistics, data.white, data.image_size)


def export_metadata(trained: TrainedNetwork) -> dict[str, str]:
    """Return what a program must know to use the exported file; values that are not text are JSON."""
    module, form = trained.module, image_format(trained)
    task = "yes_or_no" if isinstance(module, BinaryClassifier) else "classes"
    task = "labels" if isinstance(module, MultilabelClassifier) else task
    metadata: dict[str, Any] = {
        "class_names": trained.class_names,
        "task": task,
        "height": form.height,
        "width": form.width,
        "mode": form.mode,
        "resize": form.resize,
        "threshold": getattr(module, "threshold", None),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


def trace(model: ExportedClassifier, images: Tensor) -> torch.export.ExportedProgram:
    """Trace the model with torch.export; the batch size stays free.

    Args:
        model: The model.
        images: Example input with at least two images.

    Raises:
        UserError: The network's control flow depends on the values of the images.
    """
    try:
        batch = torch.export.Dim("batch", min=1)
        return torch.export.export(model, (images,), dynamic_shapes={INPUT: {0: batch}}, strict=False)
    except Exception as error:  # torch.export raises exceptions of many types
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"torch.export cannot trace {type(model.module.network).__name__}: {type(error).__name__}: {reason} "
            "A network whose control flow depends on pixel values or on the batch size cannot be exported."
        ) from error
