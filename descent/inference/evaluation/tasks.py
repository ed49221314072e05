"""Evaluate a trained network in the way of its task."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from descent.inference.classifiers import SingleLabelClassifier
from descent.inference.evaluation.calibration import Temperature, fit_temperature
from descent.inference.evaluation.classification import classification_report
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_folder import find_labelled_images
from descent.inference.evaluation.labelled_predictions import (
    LabelledPredictions,
    predict_labelled_files,
    predict_test_data,
    validation_log_probabilities,
)
from descent.inference.evaluation.regression.report import evaluate_regressor, regression_report
from descent.inference.evaluation.report import Report
from descent.inference.evaluation.segmentation.report import evaluate_segmenter, segmentation_report
from descent.inference.loading import TrainedNetwork
from foundation.errors import UserError
from foundation.processes import say
from lightning_modules import Regressor, Segmenter

OWN_TEST_DATA = "Evaluated on the run's own test data."


def evaluate(trained: TrainedNetwork, images: Path | None, tta: bool = False) -> Report:
    """Evaluate a network on labelled images, or on the run's own test data.

    Args:
        trained: The network.
        images: Folder with a folder for each class; `None`: the run's own test data.
        tta: Whether to classify from the mean over each image and its mirror image.

    Raises:
        UserError: The task cannot be evaluated, or not on a folder of classes.
    """
    module, network = trained.module, str(trained.checkpoint)
    if isinstance(module, SingleLabelClassifier):
        return _classifier(trained, module, images, tta)
    if images is not None:
        raise UserError(
            f"--images takes a folder for each class, but {network} holds a {type(module).__name__}, which does not "
            "choose one class per image: leave --images out to evaluate it on the run's own test data."
        )
    if tta:
        raise UserError(f"--tta is for networks that choose one class per image, not for a {type(module).__name__}.")
    if isinstance(module, Regressor):
        return regression_report(evaluate_regressor(trained, module), network, [OWN_TEST_DATA])
    if isinstance(module, Segmenter):
        return segmentation_report(evaluate_segmenter(trained, module), network, [OWN_TEST_DATA])
    raise UserError(
        "descent evaluate supports single-label classification (ImageClassifier, BinaryClassifier), segmentation "
        f"(Segmenter) and regression (Regressor); {network} holds a {type(module).__name__}: use descent test for its "
        "metrics."
    )


def _classifier(trained: TrainedNetwork, module: SingleLabelClassifier, images: Path | None, tta: bool) -> Report:
    predictions, remarks = _predictions(trained, module, images, tta)
    temperature, reasons = _temperature(trained, module, tta)
    found = Evaluation(predictions, trained.class_names, temperature)
    return classification_report(found, str(trained.checkpoint), [*remarks, *reasons])


def _predictions(
    trained: TrainedNetwork, module: SingleLabelClassifier, images: Path | None, tta: bool
) -> tuple[LabelledPredictions, list[str]]:
    """Return predictions for the labelled images or the run's test data, and remarks for the report."""
    if images is None:
        return predict_test_data(trained, module, tta), [OWN_TEST_DATA]
    files = find_labelled_images(images, trained.class_names)
    predictions = predict_labelled_files(trained, module, files, tta)
    remarks = [f"Evaluated on the images in {images}."]
    if files.missing_classes:
        remarks.append(f"No images of {', '.join(files.missing_classes)}: the recall of these classes is not known.")
    if files.other_files:
        remarks.append(f"Skipped files without an image's file extension: {files.other_files:,}.")
    if predictions.failures:
        path, reason = next(iter(predictions.failures.items()))
        remarks.append(f"Files that could not be decoded: {len(predictions.failures):,}, e.g. {path}: {reason}")
    for remark in remarks[1:]:
        say(remark)
    return predictions, remarks


def _temperature(
    trained: TrainedNetwork, module: SingleLabelClassifier, tta: bool
) -> tuple[Temperature | None, list[str]]:
    """Fit a temperature on the validation data; if that cannot be opened, return the reason."""
    try:
        return fit_temperature(*validation_log_probabilities(trained, module, tta)), []
    except (UserError, MisconfigurationException, OSError) as error:
        text = f"No temperature was fitted, because the run's validation data cannot be opened: {error}"
        say(text)
        return None, [text]
