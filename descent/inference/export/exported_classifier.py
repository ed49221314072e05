"""The exported model (normalisation, network and activation in one module) and its metadata."""

import copy
import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from datamodules import ImageDataModule
from datamodules.memory.images import middle
from descent.inference.classifiers import Classifier, mean_probabilities, require_classifier
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.prediction import image_format
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, MultilabelClassifier

INPUT, OUTPUT = "images", "probabilities"


@dataclass(frozen=True)
class ExportForm:
    """What an exported file takes, and how it computes.

    Args:
        to: `onnx` or `torch`.
        input: `nhwc_uint8`: uint8 `(batch, height, width, channels)`, 0 to 255; `nchw_float`: float32 `(batch,
            channels, height, width)`, the same values divided by 255, so 0 to 1. Neither is normalised.
        dtype: Of the network: `float32`, `float16`, or `int8` (ONNX only).
        temperature: The logits are divided by it, > 0.
    """

    to: str
    input: str = "nhwc_uint8"
    dtype: str = "float32"
    temperature: float = 1.0

    def layout(self, height: int, width: int, channels: int) -> str:
        """Return the input's type, shape and range of values in words."""
        if self.input == "nchw_float":
            return f"float32 (batch, {channels}, {height}, {width})"
        return f"uint8 (batch, {height}, {width}, {channels})"

    @property
    def white(self) -> int:
        """The input's value of white."""
        return 1 if self.input == "nchw_float" else 255

    def convert(self, pixels: Tensor) -> Tensor:
        """Turn pixels uint8 `(B, H, W, C)` into the file's input."""
        if self.input == "nchw_float":
            return pixels.permute(0, 3, 1, 2).float().div(255).contiguous()
        return pixels.contiguous()


class ExportedClassifier(nn.Module):
    """Map images, as files hold them, to probabilities; the network computes in float32 or float16.

    Args:
        module: A classifier; it is copied.
        mean: Mean of each channel, in [0, 1].
        std: Standard deviation of each channel, > 0.
        white: The value that 255 is scaled to, see `ImageDataModule.white`.
        size: Height and width of the middle of the images that the network gets; None for all of them.
        form: What it takes, in which precision the network computes, and the temperature.

    Shape:
        uint8 `(B, H, W, C)` or float32 `(B, C, H, W)`, see `ExportForm` → float32 `(B, K)`. The probabilities of
        classes sum to 1, also the two of a binary classifier; those of labels are independent of one another.
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
        form: ExportForm = ExportForm("torch"),
    ) -> None:
        super().__init__()
        self.module = copy.deepcopy(module).float().cpu().eval()
        self.white, self.size, self.form = white, size, form
        if form.dtype == "float16":
            self.module.half()
        self.register_buffer("offset", (255 * torch.tensor(mean, dtype=torch.float64)).float())
        self.register_buffer("scale", (1 / (255 * torch.tensor(std, dtype=torch.float64))).float())

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities."""
        as_float = self.form.input == "nchw_float"
        values = images.permute(0, 2, 3, 1) * 255 if as_float else images.float()
        if self.white != 255:
            values = ((values.round() * self.white + 127) / 255).floor()
        normalised = ((values - self.offset) * self.scale).permute(0, 3, 1, 2)
        if self.size is not None:
            normalised = middle(normalised, self.size)
        if self.form.dtype == "float16":
            normalised = normalised.half()
        return mean_probabilities(self.module, [self.module(normalised).float()], self.form.temperature)


def build_exported_classifier(trained: TrainedNetwork, form: ExportForm) -> ExportedClassifier:
    """Build the exported model of a trained network.

    Args:
        trained: The network.
        form: Of the file; an int8 file is made from the float32 model.

    Raises:
        UserError: The network does not classify images.
    """
    module = require_classifier(trained)
    image_format(trained)
    data = trained.data
    assert isinstance(data, ImageDataModule)  # checked by image_format
    return ExportedClassifier(module, *data.statistics, data.white, data.image_size, form)


def export_metadata(trained: TrainedNetwork, exported: ExportForm) -> dict[str, str]:
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
        "interpolation": form.interpolation,
        "grey_bits": form.grey_bits,
        "layout": exported.input.partition("_")[0].upper(),
        "white": exported.white,
        "dtype": exported.dtype,
        "temperature": exported.temperature,
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
