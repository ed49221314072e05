"""What a network predicts for the run's own test data, in the order of the data."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule, TableDataModule
from descent.inference.loading import TrainedNetwork
from descent.inference.predictor import Predictor
from descent.inference.progress import progress_bar

ImageOfRow = Callable[[int], Image.Image]


class Outputs(NamedTuple):
    """Predictions for N samples, on the CPU, sorted by row number.

    Args:
        columns: Tensors `(N, …)`.
        targets: `(N, …)`.
        rows: Row numbers in the data `(N,)`.
    """

    columns: tuple[Tensor, ...]
    targets: Tensor
    rows: Tensor


class Samples(NamedTuple):
    """What the samples of an evaluation are called, and how their images are loaded.

    Args:
        names: E.g. paths.
        load_image: Loads the image of a sample, counted from 0; `None` if the samples are not images.
    """

    names: list[str]
    load_image: ImageOfRow | None = None


def outputs_of_test_data(
    trained: TrainedNetwork, columns: Callable[..., tuple[Tensor, ...]], mirror: bool = False
) -> tuple[Outputs, Samples]:
    """Run the network on the run's own test data.

    Args:
        trained: The network.
        columns: Turns what the module returns for a batch into the tensors to keep.
        mirror: Whether `columns` gets a second output, that for the mirror images.
    """
    data = trained.data
    data.prepare_data()
    data.setup("test")
    found = outputs_of_loader(trained, data.test_dataloader(), columns, mirror)
    return found, samples_of_test_data(data, found.rows)


def outputs_of_loader(
    trained: TrainedNetwork, loader: Iterable[Any], columns: Callable[..., tuple[Tensor, ...]], mirror: bool = False
) -> Outputs:
    """Run the network on the batches of a loader, which may shuffle; see `outputs_of_test_data`."""
    predictor, views = Predictor(trained), (False, True) if mirror else (False,)
    batches, targets = [], []
    rows: list[Tensor] = []
    with progress_bar("Evaluating") as advance:
        for batch in loader:
            batches.append(columns(*(predictor(batch, view) for view in views)))
            targets.append(batch[1])
            rows.append(batch[2] if len(batch) > 2 else torch.arange(len(batch[1])) + sum(map(len, rows)))
            advance(len(batch[1]))
    row_numbers = torch.cat(rows).cpu()
    order = row_numbers.argsort()
    joined = tuple(torch.cat(column).cpu()[order] for column in zip(*batches, strict=True))
    return Outputs(joined, torch.cat(targets).cpu()[order], row_numbers[order])


def samples_of_test_data(data: Any, rows: Tensor) -> Samples:
    """Return names and images of rows of the test set."""
    if isinstance(data, TableDataModule) or not isinstance(data, ImageDataModule):
        kind = "row" if isinstance(data, TableDataModule) else "sample"
        return Samples([f"test {kind} {row}" for row in rows.tolist()])

    def load(sample: int) -> Image.Image:
        return image_of_test_set(data, int(rows[sample]))

    return Samples([f"test image {row}" for row in rows.tolist()], load)


def image_of_test_set(data: ImageDataModule, row: int) -> Image.Image:
    """Return an image of the test set."""
    assert data.test_set is not None
    pixels = data.test_set.images.pixels[row]
    if data.white != 255:
        pixels = (pixels.int() * 255 // data.white).to(torch.uint8)
    return Image.fromarray(pixels.squeeze(-1).numpy() if pixels.shape[-1] == 1 else pixels.numpy())
