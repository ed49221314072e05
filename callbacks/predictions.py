"""Predictions as a table."""

import csv
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BasePredictionWriter


class PredictionTable(BasePredictionWriter):
    """Writes `predictions.csv` into the run's folder: one row a sample, in the data's order.

    A module's `predict_step` gives a dict of tensors `(B,)`; each becomes a column. Where the module has `class_names`,
    columns `class` and `runner_up` hold names.
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
        batches = [batch for batch in predictions if isinstance(batch, dict)]
        if not batches or (trainer.log_dir is None and trainer.default_root_dir is None):
            return
        names = list(batches[0])
        columns = [torch.cat([batch[name] for batch in batches]).tolist() for name in names]
        classes = getattr(pl_module, "class_names", None)
        self.path = Path(trainer.log_dir or trainer.default_root_dir) / "predictions.csv"
        with self.path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", *names])
            for index, row in enumerate(zip(*columns, strict=True)):
                writer.writerow(
                    [index, *(self._shown(name, value, classes) for name, value in zip(names, row, strict=True))]
                )
        print(f"{len(columns[0])} predictions in {self.path}")

    def _shown(self, name: str, value: Any, classes: list[str] | None) -> Any:
        if classes is not None and name in self.NAMED:
            return classes[int(value)]
        return f"{value:.6f}" if isinstance(value, float) else value
