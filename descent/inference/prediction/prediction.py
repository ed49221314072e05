"""Classify image files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from torch import Tensor

from datamodules import ImageDataModule, TableDataModule
from datamodules.folder.decoding import ImageFormat
from descent.inference.answers import Answers, Classifier, answers_of, joined
from descent.inference.loading import Trained
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.scoring import Scorer
from foundation.errors import UserError

BATCH_SIZE = 128
Answer = TypeVar("Answer")


@dataclass
class Predictions:
    """What came of image files.

    Args:
        paths: Those that could be decoded.
        answers: One entry for each of them.
        failures: What was wrong with others, by path.
        class_names: Of the network.
    """

    paths: list[str]
    answers: Answers
    failures: dict[str, str]
    class_names: list[str]


def predict_files(
    trained: Trained, module: Classifier, paths: list[str], done: Callable[[int], None] = lambda count: None
) -> Predictions:
    """Classify files, decoding some while the network computes on others.

    Args:
        trained: The network.
        module: Its module.
        paths: The files.
        done: Called with the number of files after each batch.

    Raises:
        UserError: The network does not take images, or no file could be decoded.
    """
    kept, parts, failures = scored_files(trained, paths, partial(answers_of, module), done)
    return Predictions(kept, joined(parts), failures, trained.class_names)


def scored_files(
    trained: Trained, paths: list[str], answer: Callable[[Tensor], Answer], done: Callable[[int], None]
) -> tuple[list[str], list[Answer], dict[str, str]]:
    """Paths of the files that could be decoded, an answer for each batch of them, and what was wrong with others.

    Raises:
        UserError: As `predict_files`.
    """
    form, scorer = image_format(trained), Scorer(trained)
    kept: list[str] = []
    failures: dict[str, str] = {}
    parts: list[Answer] = []
    for batch in decoded_batches(paths, form, getattr(trained.data, "eval_batch_size", BATCH_SIZE)):
        if batch.rows:
            parts.append(answer(scorer.images(batch.pixels)))
        kept += [paths[row] for row in batch.rows]
        failures |= {paths[row]: said for row, said in batch.failures.items()}
        done(len(batch.rows) + len(batch.failures))
    if not kept:
        path, said = next(iter(failures.items()))
        raise UserError(f"none of {len(failures)} files could be decoded; {path}: {said}")
    return kept, parts, failures


def image_format(trained: Trained) -> ImageFormat:
    """How the run's data turns files into pixels.

    Raises:
        UserError: It has no images.
    """
    data = trained.data
    if isinstance(data, TableDataModule) or not isinstance(data, ImageDataModule):
        raise UserError(
            f"{trained.checkpoint} was trained on {type(data).__name__}, which holds no images: it answers no "
            "image files, and descent export has no form for its rows. descent predict answers its own test data."
        )
    form = getattr(data, "form", None)
    if isinstance(form, ImageFormat):
        return form
    height, width = data.image_size
    return ImageFormat(height, width, "RGB" if data.channels == 3 else "L", "crop")
