"""Write predictions as a CSV table, and predicted masks and images as PNG files."""

import csv
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from foundation.images import save_image, save_masks
from foundation.loggers import report_path, run_folder


class PredictionTable(BasePredictionWriter):
    """Write `predictions.csv` into the run's folder: one row a sample, in the order of the data.

    A module's `predict_step` returns a dict of tensors with one entry a sample:

    | tensor | columns in the table |
    | --- | --- |
    | `(B,)` | one; `class` and `runner_up` as names if the module has `class_names` |
    | `(B, K)` bool, `labels` | one with the names of the labels that apply |
    | `(B, K)` other | K |
    | `(B, H, W)` | one with the path of the mask, an image in `predictions/` |
    | `(B, C, H, W)` uint8 | one with the path of the image in `predictions/` |
    """

    NAMED = ("class", "runner_up")

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")
        self.path: Path | None = None
        """The file, once it is written."""

    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Any, batch_indices: Any
    ) -> None:
        """Write the table; rank 0 writes the rows of all ranks."""
        folder = run_folder(trainer)  # a broadcast: every process calls it
        tensors, order = in_data_order(
            [batch for batch in predictions if isinstance(batch, dict)],
            [index for loader in batch_indices for batch in loader for index in batch],
            trainer.world_size,
        )
        if not tensors or not trainer.is_global_zero:
            return
        self.path = report_path(trainer, folder, "predictions.csv")
        classes = getattr(pl_module, "class_names", None)
        columns: dict[str, list[Any]] = {}
        for name, values in tensors.items():
            columns |= table_columns(name, values, classes, self.path.with_suffix(""))
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", *columns])
            writer.writerows(
                [index, *row] for index, row in zip(order, zip(*columns.values(), strict=True), strict=True)
            )
        print(f"{len(order)} predictions in {self.path}")


def in_data_order(
    batches: list[dict[str, Tensor]], indices: list[int], processes: int
) -> tuple[dict[str, Tensor], list[int]]:
    """Return the tensors of all batches and processes by name, sorted by sample number, and these numbers.

    Args:
        batches: Of this process.
        indices: Numbers of this process's samples in the data; empty if Lightning does not know them.
        processes: Number of processes; all call this, and only the first gets the rows of the others.
    """
    tensors = {name: torch.cat([batch[name].cpu() for batch in batches]) for name in (batches[0] if batches else ())}
    if processes > 1:
        parts: list[Any] | None = [None] * processes if dist.get_rank() == 0 else None
        dist.gather_object((tensors, indices), parts)
        full = [part for part in parts or [] if part[0]]
        tensors = {name: torch.cat([part[0][name] for part in full]) for name in (full[0][0] if full else ())}
        indices = [index for part in full for index in part[1]]
    count = len(next(iter(tensors.values()), ()))
    if len(indices) != count:  # of a loader whose order Lightning does not know
        return tensors, list(range(count))
    order = torch.tensor(indices, dtype=torch.int64).argsort(stable=True)
    return {name: values[order] for name, values in tensors.items()}, [indices[i] for i in order.tolist()]


def table_columns(name: str, values: Tensor, classes: list[str] | None, folder: Path) -> dict[str, list[Any]]:
    """Return a tensor's columns; save masks and images in `folder`."""
    if values.ndim == 4:
        return {name: save_images(values, folder)}
    if values.ndim >= 3:
        return {name: save_masks(values, folder)}
    if values.ndim == 1:
        named = classes is not None and name in PredictionTable.NAMED
        return {name: [classes[int(v)] if named and classes else _formatted(v) for v in values.tolist()]}
    names = classes or [str(number) for number in range(values.shape[1])]
    if values.dtype == torch.bool:
        rows = values.tolist()
        return {name: ["; ".join(n for n, applies in zip(names, row, strict=True) if applies) for row in rows]}
    return {f"{name}_{names[k]}": [_formatted(v) for v in values[:, k].tolist()] for k in range(values.shape[1])}


def save_images(images: Tensor, folder: Path) -> list[str]:
    """Save uint8 images `(N, C, H, W)` as PNG files; return their paths from the parent folder."""
    digits = len(str(max(len(images) - 1, 0)))
    paths = [folder / f"{number:0{digits}d}.png" for number in range(len(images))]
    for image, path in zip(images, paths, strict=True):
        save_image(image, path)
    return [f"{folder.name}/{path.name}" for path in paths]


def _formatted(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value
