"""Predictions as a table, and masks as pictures."""

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from callbacks.mask_pictures import save_masks
from callbacks.sample_grid import save_picture


class PredictionTable(BasePredictionWriter):
    """Writes `predictions.csv` into the run's folder: one row a sample, in the data's order.

    A module's `predict_step` gives a dict of tensors with one entry a sample:

    | tensor                  | what stands in the table                                                       |
    |-------------------------|--------------------------------------------------------------------------------|
    | `(B,)`                  | a column; `class` and `runner_up` by name where the module has `class_names`   |
    | `(B, K)` bool, `labels` | one column, the names of the labels that apply                                 |
    | `(B, K)` other          | a column for each of the K                                                     |
    | `(B, H, W)`             | a column with the file of the mask, a picture in `predictions/`                |
    | `(B, C, H, W)` uint8    | a column with the file of the picture in `predictions/`                        |
    """

    NAMED = ("class", "runner_up")

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")
        self.path: Path | None = None
        """The file, once it is written."""

    def write_on_epoch_end(
        self, trainer: Trainer, pl_module: LightningModule, predictions: Any, batch_indices: Any
    ) -> None:
        """Write the table."""
        folder = trainer.log_dir or trainer.default_root_dir  # a broadcast: every process asks
        batches = [batch for batch in predictions if isinstance(batch, dict)]
        if not batches:
            return
        self.path = Path(folder) / "predictions.csv"
        classes = getattr(pl_module, "class_names", None)
        columns: dict[str, list[Any]] = {}
        for name in batches[0]:
            values = torch.cat([batch[name].cpu() for batch in batches])
            columns |= table_columns(name, values, classes, self.path.with_suffix(""))
        count = len(next(iter(columns.values())))
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", *columns])
            writer.writerows([index, *row] for index, row in enumerate(zip(*columns.values(), strict=True)))
        print(f"{count} predictions in {self.path}")


def table_columns(name: str, values: Tensor, classes: list[str] | None, folder: Path) -> dict[str, list[Any]]:
    """The columns that a tensor makes; masks and pictures are saved in `folder`."""
    if values.ndim == 4:
        return {name: save_pictures(values, folder)}
    if values.ndim >= 3:
        return {name: save_masks(values, folder)}
    if values.ndim == 1:
        named = classes is not None and name in PredictionTable.NAMED
        return {name: [classes[int(v)] if named and classes else _shown(v) for v in values.tolist()]}
    names = classes or [str(number) for number in range(values.shape[1])]
    if values.dtype == torch.bool:
        rows = values.tolist()
        return {name: ["; ".join(n for n, applies in zip(names, row, strict=True) if applies) for row in rows]}
    return {f"{name}_{names[k]}": [_shown(v) for v in values[:, k].tolist()] for k in range(values.shape[1])}


def save_pictures(pictures: Tensor, folder: Path) -> list[str]:
    """Save uint8 pictures `(N, C, H, W)` as PNG files; their paths from the folder above."""
    digits = len(str(max(len(pictures) - 1, 0)))
    paths = [folder / f"{number:0{digits}d}.png" for number in range(len(pictures))]
    for picture, path in zip(pictures, paths, strict=True):
        save_picture(picture, path)
    return [f"{folder.name}/{path.name}" for path in paths]


def _shown(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else value
