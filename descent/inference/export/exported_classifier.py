"""What is exported: normalisation, network and activation in one module, and what a program must know beside it."""

import copy
import json
from typing import Any

import torch
from torch import Tensor, nn

from datamodules import ImageDataModule
from descent.inference.answers import Classifier, answering
from descent.inference.loading import Trained
from descent.inference.prediction.prediction import image_format
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, MultilabelClassifier

INPUT, OUTPUT = "images", "probabilities"


class ExportedClassifier(nn.Module):
    """Images as files hold them → probabilities, in float32.

    Args:
        module: A classifier; copied.
        mean: Of each channel, in [0, 1].
        std: Of each channel, > 0.
        white: Value that 255 is brought to, see `ImageDataModule.white`.

    Shape:
        uint8 `(B, H, W, C)` as Pillow and numpy have them → `(B, K)`: of classes they sum to 1, of yes and no too, of
        labels each stands alone.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, module: Classifier, mean: tuple[float, ...], std: tuple[float, ...], white: int = 255) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).float().cpu().eval()
        self.white = white
        self.register_buffer("offset", (255 * torch.tensor(mean, dtype=torch.float64)).float())
        self.register_buffer("scale", (1 / (255 * torch.tensor(std, dtype=torch.float64))).float())

    def forward(self, images: Tensor) -> Tensor:
        """Probabilities."""
        values = images.float()
        if self.white != 255:
            values = ((values * self.white + 127) / 255).floor()
        normal = ((values - self.offset) * self.scale).permute(0, 3, 1, 2)
        return self.module.probabilities(self.module(normal))


def exported_classifier(trained: Trained) -> ExportedClassifier:
    """Of a trained network.

    Raises:
        UserError: It answers no images with classes or labels.
    """
    module = answering(trained)
    image_format(trained)
    data = trained.data
    assert isinstance(data, ImageDataModule)  # image_format sees to it
    return ExportedClassifier(module, *data.statistics, data.white)


def described(trained: Trained) -> dict[str, str]:
    """What a program must know to use the file, as text by name."""
    module, form = trained.module, image_format(trained)
    task = "yes_or_no" if isinstance(module, BinaryClassifier) else "classes"
    task = "labels" if isinstance(module, MultilabelClassifier) else task
    known: dict[str, Any] = {
        "class_names": trained.class_names,
        "task": task,
        "height": form.height,
        "width": form.width,
        "mode": form.mode,
        "resize": form.resize,
        "threshold": getattr(module, "threshold", None),
    }
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in known.items()}


def example(trained: Trained) -> Tensor:
    """Two black images."""
    return torch.zeros(2, *image_format(trained).shape, dtype=torch.uint8)


def traced(model: ExportedClassifier, images: Tensor) -> torch.export.ExportedProgram:
    """The model as a graph for any number of images.

    Raises:
        UserError: The network does what depends on the values of its images.
    """
    try:
        batch = torch.export.Dim("batch", min=1)
        return torch.export.export(model, (images,), dynamic_shapes={INPUT: {0: batch}}, strict=False)
    except Exception as error:  # torch.export raises what it meets, of many kinds
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"torch.export cannot follow {type(model.module.network).__name__}: {type(error).__name__}: {reason} "
            "A network whose steps depend on the values of an image, or on their number, cannot be exported."
        ) from error
