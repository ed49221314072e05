"""Evaluate a trained network in the way of its task."""

from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException

from descent.inference.classifiers import SingleLabelClassifier
from descent.inference.evaluation.calibration import fit_temperature
from descent.inference.evaluation.classification import classification_report
from descent.inference.evaluation.evaluation import Evaluation
from descent.inference.evaluation.labelled_predictions import (
    LabelledPredictions,
    predict_labelled_files,
    predict_test_data,
    predict_validation_data,
)
from descent.inference.evaluation.labels.report import evaluate_multilabel, multilabel_report
from descent.inference.evaluation.mistakes.explanations import Explainer
from descent.inference.evaluation.regression.report import evaluate_regressor, regression_report
from descent.inference.evaluation.report import Report
from descent.inference.evaluation.samples.label_errors import LabelledSet, suspects_of
from descent.inference.evaluation.samples.labelled_folder import find_labelled_images
from descent.inference.evaluation.samples.seen_images import seen_files, seen_test_images
from descent.inference.evaluation.segmentation.report import evaluate_segmenter, segmentation_report
from descent.inference.loading import TrainedNetwork
from foundation.errors import UserError
from foundation.processes import say
from lightning_modules import BinaryClassifier, MultilabelClassifier, Regressor, Segmenter

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
    if isinstance(module, MultilabelClassifier):
        return multilabel_report(evaluate_multilabel(trained, module), network, [OWN_TEST_DATA])
    raise UserError(
        "descent evaluate supports ImageClassifier, BinaryClassifier, MultilabelClassifier, Segmenter and Regressor; "
        f"{network} holds a {type(module).__name__}: use descent test for its metrics."
    )


def _classifier(trained: TrainedNetwork, module: SingleLabelClassifier, images: Path | None, tta: bool) -> Report:
    predictions, remarks = _predictions(trained, module, images, tta)
    validation, reasons = _validation(trained, module, tta)
    temperature = None if validation is None else fit_temperature(validation.log_probabilities, validation.targets)
    name = "test" if images is None else str(images)
    own = LabelledSet(name, predictions.log_probabilities, predictions.targets, predictions.samples)
    suspects = suspects_of([own] if validation is None else [own, validation])
    threshold = module.threshold if isinstance(module, BinaryClassifier) else 0.5
    found = Evaluation(predictions, trained.class_names, temperature, suspects, threshold)
    load = predictions.load_batch
    explainer = None if load is None else Explainer(trained, module, load)
    return classification_report(found, str(trained.checkpoint), [*remarks, *reasons], explainer)


def _predictions(
    trained: TrainedNetwork, module: SingleLabelClassifier, images: Path | None, tta: bool
) -> tuple[LabelledPredictions, list[str]]:
    """Return predictions for the labelled images or the run's test data, and remarks for the report."""
    if images is None:
        return predict_test_data(trained, module, tta), [OWN_TEST_DATA, *seen_test_images(trained)]
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
    remarks += seen_files(trained, predictions.names)
    for remark in remarks[1:]:
        say(remark)
    return predictions, remarks


def _validation(
    trained: TrainedNetwork, module: SingleLabelClassifier, tta: bool
) -> tuple[LabelledSet | None, list[str]]:
    """Classify the validation data, for the temperature; if that cannot be opened, return the reason."""
    try:
        return predict_validation_data(trained, module, tta), []
    except (UserError, MisconfigurationException, OSError) as error:
        text = f"No temperature was fitted, because the run's validation data cannot be opened: {error}"
        say(text)
        return None, [text]
