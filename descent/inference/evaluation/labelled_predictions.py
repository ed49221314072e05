"""Predictions of a classifier for labelled data: image files, or the run's own test or validation data."""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from datamodules import ImageDataModule
from descent.inference.classifiers import SingleLabelClassifier
from descent.inference.evaluation.labelled_folder import LabelledImages
from descent.inference.evaluation.outputs import ImageOfRow, outputs_of_loader, outputs_of_test_data
from descent.inference.loading import TrainedNetwork
from descent.inference.page_elements import load_image
from descent.inference.prediction.prediction import map_files
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
    load_image: ImageOfRow | None
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
    found, samples = outputs_of_test_data(trained, partial(_from_output, module))
    log_probabilities, classes = found.columns
    return LabelledPredictions(log_probabilities.double(), classes, found.targets.long(), *samples, {})


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
    found = outputs_of_loader(trained, data.val_dataloader(), partial(_from_output, module))
    return found.columns[0].double(), found.targets.long()


def _from_output(module: SingleLabelClassifier, output: Tensor) -> tuple[Tensor, Tensor]:
    """Return log-probabilities and predicted classes; a binary classifier predicts by its threshold."""
    log_probabilities = module.log_probabilities(output)
    if isinstance(module, BinaryClassifier):
        return log_probabilities, (module.probabilities(output)[:, 1] >= module.threshold).long()
    return log_probabilities, output.argmax(dim=1)


def _join(batches: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    log_probabilities, classes = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
    return log_probabilities.double(), classes
