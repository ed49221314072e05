"""The images on which a file of lower precision is calibrated and compared: of the run, or of the user."""

from pathlib import Path
from typing import NamedTuple

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor

from datamodules import ImageDataModule
from datamodules.folder.listing.layout import folders_by_class
from datamodules.memory.images import ImageDataset
from descent.inference.evaluation.labelled_predictions import open_validation_data
from descent.inference.evaluation.samples.labelled_folder import find_labelled_images
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.image_files import find_images
from descent.inference.prediction.prediction import image_format
from descent.inference.predictor import out_of_white
from foundation.errors import UserError

MAX_CALIBRATION, MAX_MEASURED = 256, 2000
DECODED_AT_ONCE = 250


class ImageSet(NamedTuple):
    """Images of the size that an exported file takes.

    Args:
        pixels: uint8 `(N, H, W, C)`, 255 is white.
        targets: Their classes `(N,)` or labels `(N, K)`; `None` if they are not known.
        name: What they are, for a report.
    """

    pixels: Tensor
    targets: Tensor | None
    name: str

    def some(self, count: int) -> "ImageSet":
        """Return at most so many of them, evenly spaced."""
        rows = torch.linspace(0, len(self.pixels) - 1, min(count, len(self.pixels))).round().long()
        return self.rows(rows)

    def rows(self, rows: Tensor) -> "ImageSet":
        """Return those of these rows."""
        return ImageSet(self.pixels[rows], None if self.targets is None else self.targets[rows], self.name)


def image_sets(trained: TrainedNetwork, images: list[str]) -> tuple[ImageSet, ImageSet]:
    """Return images to calibrate on, and others to compare on.

    Args:
        trained: The network.
        images: Files and folders of the user, of which every second image is compared; a single folder whose folders
            are named after classes has labels. Without any: the run's validation and test images.

    Raises:
        UserError: There are fewer than two images, or the run's own cannot be opened.
    """
    if images:
        given = _given(trained, images)
        if len(given.pixels) < 2:
            raise UserError(f"--images {' '.join(images)}: at least 2 images are needed, found {len(given.pixels)}.")
        every = torch.arange(len(given.pixels))
        return given.rows(every[::2]).some(MAX_CALIBRATION), given.rows(every[1::2]).some(MAX_MEASURED)
    try:
        return _of_run(trained)
    except (UserError, MisconfigurationException, OSError) as error:
        raise UserError(
            f"--dtype needs images to compare on, and the run's own cannot be opened: {error} Give some: --images "
            "FOLDER, with FOLDER/<class>/… for the accuracy."
        ) from error


def _of_run(trained: TrainedNetwork) -> tuple[ImageSet, ImageSet]:
    data = trained.data
    open_validation_data(trained)
    assert isinstance(data, ImageDataModule)  # checked by image_format
    validation = _of_dataset(data, data.val_set, "validation images")
    data.setup("test")
    test = _of_dataset(data, data.test_set, "test images")
    return validation.some(MAX_CALIBRATION), test.some(MAX_MEASURED)


def _of_dataset(data: ImageDataModule, dataset: ImageDataset | None, name: str) -> ImageSet:
    assert dataset is not None
    rows = ImageSet(dataset.rows, None, name).some(MAX_MEASURED).pixels
    pixels, targets = dataset.images.select(rows)
    return ImageSet(out_of_white(pixels, data.white), targets, name)


def _given(trained: TrainedNetwork, images: list[str]) -> ImageSet:
    form = image_format(trained)
    paths, target_of = _labelled(trained, images)
    batches = [batch for batch in decoded_batches(paths, form, DECODED_AT_ONCE) if batch.rows]
    if not batches:
        raise UserError(f"none of {len(paths)} files of --images could be decoded.")
    pixels = torch.cat([batch.pixels for batch in batches])
    rows = [row for batch in batches for row in batch.rows]
    targets = None if target_of is None else torch.tensor([target_of[paths[row]] for row in rows])
    return ImageSet(pixels, targets, f"images of {', '.join(images)}")


def _labelled(trained: TrainedNetwork, images: list[str]) -> tuple[list[str], dict[str, int] | None]:
    """Return the files, and the class of each if a single folder was given that has a folder of a class.

    Raises:
        UserError: It also has a folder of another name, or no image.
    """
    folder = Path(images[0])
    if len(images) == 1 and folder.is_dir() and not folders_by_class(folder).keys().isdisjoint(trained.class_names):
        found = find_labelled_images(folder, trained.class_names)
        return found.paths, dict(zip(found.paths, found.targets, strict=True))
    return find_images(images).paths, None
