"""A callback that draws generated images at every validation."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from foundation.argument_checks import require_between
from foundation.images import grid, save_image
from foundation.loggers import own_folder, report_path, run_folder, tensorboards


class SampleGrid(Callback):
    """Save a grid of images, generated from the same noise at every validation, in TensorBoard and as a file.

    Files are `figures/samples/step_000280.png` in the folder of the run; in TensorBoard `samples` has a slider over the
    steps.

    Args:
        columns: Number of columns and of rows, ≥ 1.

    Raises:
        ValueError: `columns` is below 1.
    """

    def __init__(self, columns: int = 8) -> None:
        require_between("columns", columns, 1)
        self.columns = columns

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Draw after the last batch: at the end of the epoch EMA has already swapped the trained weights back."""
        last = batch_idx + 1 == trainer.num_val_batches[dataloader_idx]
        if not last or trainer.sanity_checking:
            return
        folder = run_folder(trainer)  # a broadcast, so every process must call it
        if not trainer.is_global_zero:
            return
        with torch.no_grad():
            image = grid(pl_module(pl_module.fixed_noise(self.columns**2, -1)), self.columns)  # type: ignore[operator]
        for board in tensorboards(trainer):
            board.add_image("samples", image, trainer.global_step)
        if trainer.loggers or own_folder(trainer):
            name = f"figures/samples/step_{trainer.global_step:06d}.png"
            save_image(image, report_path(trainer, folder, name))
