"""Export in float16 or int8, and measure against the float32 file what that costs and saves."""

import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from descent.inference.classifiers import Classifier, require_classifier
from descent.inference.export.exported_classifier import ExportForm, export_metadata
from descent.inference.export.formats import load_exported, write_exported, write_form
from descent.inference.export.image_sets import ImageSet
from descent.inference.export.parity import ExportedModel, synthetic_images
from descent.inference.export.quantization import quantize
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.prediction import image_format
from foundation.errors import UserError
from foundation.files import replacing
from lightning_modules import BinaryClassifier, MultilabelClassifier

BATCH_SIZE, ROUNDS = 32, 7
MAX_DROP = 0.01
"""Largest accepted loss of accuracy."""


@dataclass(frozen=True)
class Reduction:
    """A file in float16 or int8 against the same network's float32 file.

    Args:
        dtype: Of the file.
        bytes: Its size.
        bytes_float32: Size of the float32 file.
        images: How many images were compared.
        compared_on: Which.
        calibrated_on: Images that an int8 file's ranges come from; 0 for float16.
        accuracy: Share of right answers, of a multi-label network over all labels; `None` without labels.
        accuracy_float32: That of the float32 file.
        changed: Share of images whose answer changed.
        max_difference: Largest difference of a probability.
        time_ratio: Time for a batch, divided by that of the float32 file: the median of several rounds in turns.
        batch_size: Of the timing.
        threads: Of the timing.
    """

    dtype: str
    bytes: int
    bytes_float32: int
    images: int
    compared_on: str
    calibrated_on: int
    accuracy: float | None
    accuracy_float32: float | None
    changed: float
    max_difference: float
    time_ratio: float
    batch_size: int
    threads: int

    @property
    def drop(self) -> float:
        """The loss of accuracy; without labels the share of changed answers, which it cannot exceed."""
        if self.accuracy is None or self.accuracy_float32 is None:
            return self.changed
        return self.accuracy_float32 - self.accuracy

    def accuracy_sentence(self) -> str:
        """State accuracy before and after, or the share of changed answers."""
        changed = f"another answer for {self.changed:.2%} of {self.images:,} {self.compared_on}"
        if self.accuracy is None or self.accuracy_float32 is None:
            return changed
        return f"accuracy {self.accuracy_float32:.2%} in float32, {self.accuracy:.2%} in {self.dtype}; {changed}"

    def summary(self) -> dict[str, Any]:
        """Return all numbers, for a JSON file."""
        return asdict(self)


def write_reduced(
    trained: TrainedNetwork, file: Path, form: ExportForm, sets: tuple[ImageSet, ImageSet], max_drop: float = MAX_DROP
) -> Reduction:
    """Export in float16 or int8; the file is written only if the accuracy falls by at most `max_drop`.

    The float32 model is exported first, and must match the checkpoint.

    Args:
        trained: The network, its trainer in float32 on the CPU.
        file: The file to write.
        form: Of the file; int8 only for ONNX.
        sets: Images to calibrate on, and others to compare on.
        max_drop: Largest accepted loss of accuracy, in [0, 1]; for images without labels, largest accepted share of
            changed answers.

    Raises:
        UserError: The accuracy falls further, a probability is not finite, or the network cannot be exported.
        OSError: The file cannot be written.
    """
    calibration, compared = sets
    whole = ExportForm(form.to, form.input, "float32", form.temperature)
    with TemporaryDirectory() as folder, replacing(file) as part:
        float32 = Path(folder, "float32")
        write_exported(trained, float32, whole, synthetic_images(image_format(trained)))
        if form.dtype == "int8":
            quantize(float32, part, form, calibration.pixels, export_metadata(trained, form))
        else:
            write_form(trained, part, form)
        sizes = part.stat().st_size, float32.stat().st_size
        models = load_exported(part, form), load_exported(float32, whole)
        calibrated_on = len(calibration.pixels) if form.dtype == "int8" else 0
        found = _compare(models, sizes, require_classifier(trained), compared, form.dtype, calibrated_on)
        if not found.drop <= max_drop:
            raise UserError(
                f"--dtype {form.dtype}: {found.accuracy_sentence()}. That is more than --max_drop {max_drop:g} "
                "accepts; no file is written."
            )
    return found


def _compare(
    models: tuple[ExportedModel, ExportedModel],
    sizes: tuple[int, int],
    module: Classifier,
    compared: ImageSet,
    dtype: str,
    calibrated_on: int,
) -> Reduction:
    reduced, float32 = (_probabilities(model, compared.pixels) for model in models)
    if not bool(reduced.isfinite().all()):
        raise UserError(f"--dtype {dtype}: a probability is not finite, so a value overflows; no file is written.")
    answers, answers_float32 = _answers(module, reduced), _answers(module, float32)
    changed = (answers != answers_float32).reshape(len(answers), -1).any(dim=1).float().mean()
    right = right_float32 = None
    if compared.targets is not None:
        targets = compared.targets.long()
        right, right_float32 = (float((each == targets).double().mean()) for each in (answers, answers_float32))
    batch = compared.pixels[:BATCH_SIZE]
    return Reduction(
        dtype, *sizes, len(compared.pixels), compared.name, calibrated_on, right, right_float32, float(changed),
        float((reduced - float32).abs().max()), _time_ratio(models, batch), len(batch), torch.get_num_threads(),
    )  # fmt: skip


def _probabilities(model: ExportedModel, pixels: Tensor) -> Tensor:
    return torch.cat([torch.from_numpy(model(batch.numpy())) for batch in pixels.split(BATCH_SIZE)])


def _answers(module: Classifier, probabilities: Tensor) -> Tensor:
    """Return the predicted classes `(N,)` or labels `(N, K)`, as int64."""
    if isinstance(module, MultilabelClassifier):
        return (probabilities >= module.threshold).long()
    if isinstance(module, BinaryClassifier):
        return (probabilities[:, 1] >= module.threshold).long()
    return probabilities.argmax(dim=1)


def _time_ratio(models: tuple[ExportedModel, ExportedModel], batch: Tensor) -> float:
    pixels, ratios = batch.numpy(), []
    for _ in range(ROUNDS):
        seconds = []
        for model in models:
            start = time.perf_counter()
            model(pixels)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)
