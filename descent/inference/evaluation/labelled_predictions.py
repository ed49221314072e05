"""Predictions of a classifier for labelled data: image files, or the run's own test or validation data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule
from datamodules.folder.decoding import decode
from datamodules.memory.images import Batch
from descent.inference.classifiers import SingleLabelClassifier, mean_log_probabilities, mean_probabilities
from descent.inference.evaluation.outputs import (
    BatchOfRows,
    ImageOfRow,
    Samples,
    outputs_of_loader,
    outputs_of_test_data,
    samples_of,
)
from descent.inference.evaluation.samples.label_errors import LabelledSet
from descent.inference.evaluation.samples.labelled_folder import LabelledImages
from descent.inference.loading import TrainedNetwork
from descent.inference.page_elements import load_image
from descent.inference.prediction.prediction import image_format, map_files
from descent.inference.predictor import in_white
from lightning_modules import BinaryClassifier


@dataclass
class LabelledPredictions:
    """Predictions for N labelled samples, on the CPU.

    Args:
        log_probabilities: float64 `(N, K)`.
        classes: Predicted classes `(N,)`.
        targets: True classes `(N,)`.
        names: Names of the samples, e.g. paths.
        load_image: Loads the image of a row; `None` if the samples are not images.
        failures: Why files could not be decoded, by path.
        classes_without_mirror: Predicted classes without test-time augmentation `(N,)`; `None` if there was none.
        load_batch: Loads rows as a data loader does; `None` if the samples are not images.
    """

    log_probabilities: Tensor
    classes: Tensor
    targets: Tensor
    names: list[str]
    load_image: ImageOfRow | None
    failures: dict[str, str]
    classes_without_mirror: Tensor | None = None
    load_batch: BatchOfRows | None = None

    @property
    def samples(self) -> Samples:
        """Names and images of the samples."""
        return Samples(self.names, self.load_image, self.load_batch)


def predict_labelled_files(
    trained: TrainedNetwork, module: SingleLabelClassifier, files: LabelledImages, mirror: bool = False
) -> LabelledPredictions:
    """Classify labelled image files; with `mirror` from the mean over each image and its mirror image.

    Raises:
        UserError: No file could be decoded.
    """
    paths, batches, failures = map_files(trained, files.paths, partial(_from_output, module), "Evaluating", mirror)
    target_of = dict(zip(files.paths, files.targets, strict=True))
    targets = torch.tensor([target_of[path] for path in paths])
    log_probabilities, classes, without = _join(batches)
    return LabelledPredictions(
        log_probabilities, classes, targets, paths, partial(_load, paths), failures, without if mirror else None,
        partial(_load_batch, paths, trained),
    )  # fmt: skip


def _load(paths: list[str], row: int) -> Image.Image:
    return load_image(paths[row])


def _load_batch(paths: list[str], trained: TrainedNetwork, rows: list[int]) -> Batch:
    form = image_format(trained)
    pixels = torch.stack([torch.tensor(decode(paths[row], form)) for row in rows])
    unused = torch.zeros(len(rows), dtype=torch.int64)
    white: int = trained.data.white  # type: ignore[attr-defined]
    return in_white(pixels, white).permute(0, 3, 1, 2), unused, unused


def predict_test_data(
    trained: TrainedNetwork, module: SingleLabelClassifier, mirror: bool = False
) -> LabelledPredictions:
    """Classify the run's own test data; with `mirror` from the mean over each image and its mirror image.

    Raises:
        UserError: Only images have mirror images.
    """
    if mirror:
        image_format(trained)
    found, samples = outputs_of_test_data(trained, partial(_from_output, module), mirror)
    log_probabilities, classes, without = found.columns
    targets = found.targets.long()
    return LabelledPredictions(
        log_probabilities.double(), classes, targets, samples.names, samples.load_image, {},
        without if mirror else None, samples.load_batch,
    )  # fmt: skip


def predict_validation_data(
    trained: TrainedNetwork, module: SingleLabelClassifier, mirror: bool = False
) -> LabelledSet:
    """Classify the run's own validation data."""
    open_validation_data(trained)
    data = trained.data
    found = outputs_of_loader(trained, data.val_dataloader(), partial(_from_output, module), mirror)
    samples = samples_of(data, "val", found.rows)
    return LabelledSet("validation", found.columns[0].double(), found.targets.long(), samples)


def validation_log_probabilities(
    trained: TrainedNetwork, module: SingleLabelClassifier, mirror: bool = False
) -> tuple[Tensor, Tensor]:
    """Return log-probabilities `(N, K)` and true classes `(N,)` of the run's own validation data."""
    found = predict_validation_data(trained, module, mirror)
    return found.log_probabilities, found.targets


def open_validation_data(trained: TrainedNetwork) -> None:
    """Open the run's own validation data."""
    data = trained.data
    data.prepare_data()
    if isinstance(data, ImageDataModule):
        data.open("fit")  # not setup, which starts a new run and discards the checkpoint's mean and deviation
        if trained.state is not None:
            data.load_state_dict(trained.state)  # once more: it warns if the split differs from the checkpoint's
    else:
        data.setup("fit")


def _from_output(module: SingleLabelClassifier, *outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return log-probabilities, the mean over the views, and the predicted classes of all views and of the first."""
    classes = _classes(module, outputs[:1])
    if len(outputs) == 1:
        return module.log_probabilities(outputs[0]), classes, classes
    return mean_log_probabilities(module, outputs), _classes(module, outputs), classes


def _classes(module: SingleLabelClassifier, outputs: Sequence[Tensor]) -> Tensor:
    """Return the predicted classes; a binary classifier predicts by its threshold."""
    if isinstance(module, BinaryClassifier):
        return (mean_probabilities(module, outputs)[:, 1] >= module.threshold).long()
    return (outputs[0] if len(outputs) == 1 else mean_log_probabilities(module, outputs)).argmax(dim=1)


def _join(batches: list[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    log_probabilities, classes, without = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
    return log_probabilities.double(), classes, without
