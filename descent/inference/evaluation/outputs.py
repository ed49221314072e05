"""What a network predicts for the run's own test data, in the order of the data."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from datamodules import ImageDataModule, TableDataModule
from datamodules.memory.images import Batch, require_open
from descent.inference.loading import TrainedNetwork
from descent.inference.predictor import Predictor, out_of_white
from descent.inference.progress import progress_bar

ImageOfRow = Callable[[int], Image.Image]
BatchOfRows = Callable[[list[int]], Batch]


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
        load_batch: Loads samples as a data loader does; `None` if they are not images.
    """

    names: list[str]
    load_image: ImageOfRow | None = None
    load_batch: BatchOfRows | None = None


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
    return found, samples_of(data, "test", found.rows)


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


def samples_of(data: Any, part: str, rows: Tensor) -> Samples:
    """Return names and images of rows of a data set.

    Args:
        data: The data module, in which the data set is open.
        part: ``test`` or ``val``.
        rows: Row numbers, as batches have them.
    """
    name = {"val": "validation"}.get(part, part)
    if isinstance(data, TableDataModule) or not isinstance(data, ImageDataModule):
        kind = "row" if isinstance(data, TableDataModule) else "sample"
        return Samples([f"{name} {kind} {row}" for row in rows.tolist()])
    images = require_open(getattr(data, f"{part}_set"), name).images

    def batch(samples: list[int]) -> Batch:
        chosen = rows[samples]
        return images.pixels[chosen].permute(0, 3, 1, 2), images.targets[chosen], chosen

    def load(sample: int) -> Image.Image:
        return as_image(images.pixels[int(rows[sample])], data.white)

    path_of = getattr(data, "path_of", None)
    names = [f"{name} image {row}" if path_of is None else str(path_of(part, row)) for row in rows.tolist()]
    return Samples(names, load, batch)


def as_image(pixels: Tensor, white: int) -> Image.Image:
    """Return pixels `(H, W, C)` as an image."""
    pixels = out_of_white(pixels, white)
    return Image.fromarray(pixels.squeeze(-1).numpy() if pixels.shape[-1] == 1 else pixels.numpy())
