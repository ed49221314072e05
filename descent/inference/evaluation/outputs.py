"""What a classifier gives for labelled data: files, or a part of the run's own data."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule, TableDataModule
from descent.inference.evaluation.labelled_folder import Labelled
from descent.inference.loading import Trained
from descent.inference.prediction.prediction import scored_files
from descent.inference.scoring import Scorer
from descent.inference.thumbnails import from_file
from lightning_modules import BinaryClassifier, ImageClassifier

Chooser = ImageClassifier | BinaryClassifier


@dataclass
class Outputs:
    """A classifier's outputs on the CPU, and the truth.

    Args:
        log_probabilities: float64 `(N, K)`.
        choices: The answers `(N,)`.
        targets: The true classes `(N,)`.
        names: Of the samples, e.g. paths.
        image: Loads one by its place; `None` where there are no images.
        failures: What was wrong with files that could not be decoded.
    """

    log_probabilities: Tensor
    choices: Tensor
    targets: Tensor
    names: list[str]
    image: Callable[[int], Callable[[], Image.Image]] | None
    failures: dict[str, str]


def outputs_of_files(
    trained: Trained, module: Chooser, files: Labelled, done: Callable[[int], None] = lambda count: None
) -> Outputs:
    """Of image files; see `predict_files`.

    Raises:
        UserError: No file could be decoded.
    """
    kept, parts, failures = scored_files(trained, files.paths, partial(_answered, module), done)
    truth = dict(zip(files.paths, files.targets, strict=True))
    targets = torch.tensor([truth[path] for path in kept])
    return Outputs(*_joined(parts), targets, kept, lambda place: partial(from_file, kept[place]), failures)


def outputs_of_test(trained: Trained, module: Chooser, done: Callable[[int], None] = lambda count: None) -> Outputs:
    """Of the run's own test data."""
    trained.data.prepare_data()
    trained.data.setup("test")
    log_probabilities, choices, targets, rows = _of_loader(trained, module, trained.data.test_dataloader(), done)
    names = [f"test image {row}" for row in rows.tolist()]
    data, image = trained.data, None
    if isinstance(data, ImageDataModule) and not isinstance(data, TableDataModule):

        def image(place: int) -> Callable[[], Image.Image]:
            return partial(test_image, data, int(rows[place]))

    return Outputs(log_probabilities, choices, targets, names, image, {})


def validation_log_probabilities(trained: Trained, module: Chooser) -> tuple[Tensor, Tensor]:
    """Log-probabilities `(N, K)` and true classes `(N,)` of the run's own validation data."""
    trained.data.prepare_data()
    if isinstance(trained.data, ImageDataModule):
        trained.data.open("fit")  # not setup, which begins a run and forgets the checkpoint's mean and deviation
        if trained.state is not None:
            trained.data.load_state_dict(trained.state)  # again: it warns where the split is not the checkpoint's
    else:
        trained.data.setup("fit")
    log_probabilities, _, targets, _ = _of_loader(trained, module, trained.data.val_dataloader(), lambda count: None)
    return log_probabilities, targets


def test_image(data: ImageDataModule, row: int) -> Image.Image:
    """An image of the test data."""
    assert data.test_set is not None
    pixels = data.test_set.images.pixels[row]
    if data.white != 255:
        pixels = (pixels.int() * 255 // data.white).to(torch.uint8)
    return Image.fromarray(pixels.squeeze(-1).numpy() if pixels.shape[-1] == 1 else pixels.numpy())


def _of_loader(
    trained: Trained, module: Chooser, loader: Iterable[Any], done: Callable[[int], None]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    scorer = Scorer(trained)
    parts, targets = [], []
    rows: list[Tensor] = []
    for batch in loader:
        parts.append(_answered(module, scorer(batch)))
        targets.append(batch[1])
        rows.append(batch[2] if len(batch) > 2 else torch.arange(len(batch[1])) + sum(map(len, rows)))
        done(len(batch[1]))
    log_probabilities, choices = _joined(parts)
    places = torch.cat(rows)
    order = places.argsort()  # as they lie: a loader may mix them
    return log_probabilities[order], choices[order], torch.cat(targets).long()[order], places[order]


def _answered(module: Chooser, output: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities and the answer; of yes or no, by the module's threshold."""
    log_probabilities = module.log_probabilities(output)
    if isinstance(module, BinaryClassifier):
        return log_probabilities, (module.probabilities(output)[:, 1] >= module.threshold).long()
    return log_probabilities, output.argmax(dim=1)


def _joined(parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    log_probabilities, choices = (torch.cat(column).cpu() for column in zip(*parts, strict=True))
    return log_probabilities.double(), choices
