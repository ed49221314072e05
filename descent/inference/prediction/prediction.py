"""Classify image files with a trained network."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from datamodules import ImageDataModule, TableDataModule
from datamodules.folder.decoding import ImageFormat
from descent.inference.classifiers import (
    AS_TRAINED,
    AnswerOptions,
    Classifier,
    Predictions,
    concatenate,
    predictions_from_output,
)
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.predictor import Predictor
from descent.inference.progress import progress_bar
from foundation.errors import UserError

Result = TypeVar("Result")


@dataclass
class FilePredictions:
    """Predictions for image files.

    Args:
        paths: The files that could be decoded.
        predictions: One row for each of them.
        failures: Why the other files could not be decoded, by path.
        class_names: Names of the network's classes or labels.
        numbered: Whether the columns of the second class are `class_2`, `probability_2` and not `runner_up`, ….
    """

    paths: list[str]
    predictions: Predictions
    failures: dict[str, str]
    class_names: list[str]
    numbered: bool = False


def predict_files(
    trained: TrainedNetwork,
    module: Classifier,
    paths: list[str],
    options: AnswerOptions = AS_TRAINED,
    mirror: bool = False,
) -> FilePredictions:
    """Classify image files with the network's module; other processes decode files while it computes.

    Args:
        trained: The network.
        module: Its module.
        paths: The files.
        options: How predictions are made from the outputs.
        mirror: Whether the probabilities are the mean over each image and its mirror image.

    Raises:
        UserError: The network does not take images, or no file could be decoded.
    """
    answer = partial(predictions_from_output, module, options=options)
    decoded, batches, failures = map_files(trained, paths, answer, mirror=mirror)
    return FilePredictions(decoded, concatenate(batches), failures, trained.class_names)


def map_files(
    trained: TrainedNetwork,
    paths: list[str],
    from_output: Callable[..., Result],
    description: str = "Classifying",
    mirror: bool = False,
) -> tuple[list[str], list[Result], dict[str, str]]:
    """Run the network on image files and apply a function to its output for each batch.

    Args:
        trained: The network.
        paths: The files.
        from_output: Called with the output for each batch; with `mirror` also with that for the mirror images.
        description: Of the progress bar.
        mirror: Whether the network gets each image's mirror image too.

    Returns:
        The files that could be decoded, a result for each batch of them, and why the other files could not be.

    Raises:
        UserError: The network does not take images, or no file could be decoded.
    """
    form, predictor = image_format(trained), Predictor(trained)
    batch_size: int = trained.data.eval_batch_size  # type: ignore[attr-defined]
    decoded: list[str] = []
    failures: dict[str, str] = {}
    results: list[Result] = []
    views = (False, True) if mirror else (False,)
    with progress_bar(description, len(paths)) as advance:
        for batch in decoded_batches(paths, form, batch_size):
            if batch.rows:
                results.append(from_output(*(predictor.forward_pixels(batch.pixels, view) for view in views)))
            decoded += [paths[row] for row in batch.rows]
            failures |= {paths[row]: reason for row, reason in batch.failures.items()}
            advance(len(batch.rows) + len(batch.failures))
    if not decoded:
        path, reason = next(iter(failures.items()))
        raise UserError(f"none of {len(failures)} files could be decoded; {path}: {reason}")
    return decoded, results, failures


def image_format(trained: TrainedNetwork) -> ImageFormat:
    """Return the size, mode and way of resizing that the network's images have.

    Raises:
        UserError: The network was not trained on images.
    """
    data = trained.data
    if isinstance(data, TableDataModule) or not isinstance(data, ImageDataModule):
        raise UserError(
            f"{trained.checkpoint} was trained on {type(data).__name__}, which has no images: it can neither classify "
            "image files nor be exported. descent predict without --images writes its predictions for the test data."
        )
    form = getattr(data, "form", None)
    if isinstance(form, ImageFormat):
        return form
    height, width = data.image_size
    return ImageFormat(height, width, "RGB" if data.channels == 3 else "L", "crop")
