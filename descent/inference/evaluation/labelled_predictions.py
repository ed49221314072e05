"""Predictions of a classifier for labelled data: image files, or the run's own test or validation data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule, TableDataModule
from descent.inference.classifiers import SingleLabelClassifier
from descent.inference.evaluation.labelled_folder import LabelledImages
from descent.inference.loading import TrainedNetwork
from descent.inference.page_elements import load_image
from descent.inference.prediction.prediction import map_files
from descent.inference.predictor import Predictor
from descent.inference.progress import progress_bar
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
    """

    log_probabilities: Tensor
    classes: Tensor
    targets: Tensor
    names: list[str]
    load_image: Callable[[int], Image.Image] | None
    failures: dict[str, str]


def predict_labelled_files(
    trained: TrainedNetwork, module: SingleLabelClassifier, files: LabelledImages
) -> LabelledPredictions:
    """Classify labelled image files.

    Raises:
        UserError: No file could be decoded.
    """
    paths, batches, failures = map_files(trained, files.paths, partial(_from_output, module), "Evaluating")
    target_of = dict(zip(files.paths, files.targets, strict=True))
    targets = torch.tensor([target_of[path] for path in paths])
    return LabelledPredictions(*_join(batches), targets, paths, lambda row: load_image(paths[row]), failures)


def predict_test_data(trained: TrainedNetwork, module: SingleLabelClassifier) -> LabelledPredictions:
    """Classify the run's own test data."""
    data = trained.data
    data.prepare_data()
    data.setup("test")
    log_probabilities, classes, targets, rows = _predict_loader(trained, module, data.test_dataloader())
    names = [f"test image {row}" for row in rows.tolist()]
    image_of_row = None
    if isinstance(data, ImageDataModule) and not isinstance(data, TableDataModule):

        def image_of_row(row: int) -> Image.Image:
            return image_of_test_set(data, int(rows[row]))

    return LabelledPredictions(log_probabilities, classes, targets, names, image_of_row, {})


def validation_log_probabilities(trained: TrainedNetwork, module: SingleLabelClassifier) -> tuple[Tensor, Tensor]:
    """Return log-probabilities `(N, K)` and true classes `(N,)` of the run's own validation data."""
    data = trained.data
    data.prepare_data()
    if isinstance(data, ImageDataModule):
        data.open("fit")  # not setup, which starts a new run and discards the checkpoint's mean and deviation
        if trained.state is not None:
            data.load_state_dict(trained.state)  # once more: it warns if the split differs from the checkpoint's
    else:
        data.setup("fit")
    log_probabilities, _, targets, _ = _predict_loader(trained, module, data.val_dataloader())
    return log_probabilities, targets


def image_of_test_set(data: ImageDataModule, row: int) -> Image.Image:
    """Return an image of the test set."""
    assert data.test_set is not None
    pixels = data.test_set.images.pixels[row]
    if data.white != 255:
        pixels = (pixels.int() * 255 // data.white).to(torch.uint8)
    return Image.fromarray(pixels.squeeze(-1).numpy() if pixels.shape[-1] == 1 else pixels.numpy())


def _predict_loader(
    trained: TrainedNetwork, module: SingleLabelClassifier, loader: Iterable[Any]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return log-probabilities, predicted classes, true classes and row numbers, sorted by row number."""
    predictor = Predictor(trained)
    batches, targets = [], []
    rows: list[Tensor] = []
    with progress_bar("Evaluating") as advance:
        for batch in loader:
            batches.append(_from_output(module, predictor(batch)))
            targets.append(batch[1])
            rows.append(batch[2] if len(batch) > 2 else torch.arange(len(batch[1])) + sum(map(len, rows)))
            advance(len(batch[1]))
    log_probabilities, classes = _join(batches)
    row_numbers = torch.cat(rows)
    order = row_numbers.argsort()  # a loader may shuffle
    return log_probabilities[order], classes[order], torch.cat(targets).long()[order], row_numbers[order]


def _from_output(module: SingleLabelClassifier, output: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and predicted classes; a binary classifier predicts by its threshold."""
    log_probabilities = module.log_probabilities(output)
    if isinstance(module, BinaryClassifier):
        return log_probabilities, (module.probabilities(output)[:, 1] >= module.threshold).long()
    return log_probabilities, output.argmax(dim=1)


def _join(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    log_probabilities, classes = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
    return log_probabilities.double(), classes
