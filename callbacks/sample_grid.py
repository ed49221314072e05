"""Pictures of the same noise at every validation: how a generator gets on, to be seen."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from callbacks.tensorboards import tensorboards

SHOWN_PIXELS = 64  # to a side, of each picture in the file: small pictures are enlarged to about that


class SampleGrid(Callback):
    """At every validation makes pictures of the same noise, a grid of them in TensorBoard and in the run's figures.

    Files are `figures/samples/step_000280.png`; in TensorBoard `samples` has a slider over the steps.

    Args:
        columns: ≥ 1; there are as many rows.

    Raises:
        ValueError: `columns` is below 1.
    """

    def __init__(self, columns: int = 8) -> None:
        if columns < 1:
            raise ValueError(f"columns must be ≥ 1, got {columns}.")
        self.columns = columns

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """After the last batch: at the epoch's end an average of the weights has already made room for them."""
        last = batch_idx + 1 == trainer.num_val_batches[dataloader_idx]
        if not last or trainer.sanity_checking:
            return
        folder = trainer.log_dir  # a broadcast: every process asks
        if not trainer.is_global_zero:
            return
        with torch.no_grad():
            picture = grid(pl_module(pl_module.fixed_noise(self.columns**2, -1)), self.columns)  # type: ignore[operator]
        for board in tensorboards(trainer):
            board.add_image("samples", picture, trainer.global_step)
        if folder is not None and trainer.loggers:
            save_picture(picture, Path(folder) / "figures" / "samples" / f"step_{trainer.global_step:06d}.png")


def grid(pictures: Tensor, columns: int) -> Tensor:
    """Pictures in [−1, 1] beside each other with white lines between, uint8 `(3, H, W)`, small ones enlarged.

    Args:
        pictures: `(N, C, H, W)`, C 1 or 3.
        columns: ≥ 1.

    Example:
        >>> grid(torch.zeros(4, 1, 32, 32), columns=2).shape
        torch.Size([3, 134, 134])
    """
    from torchvision.utils import make_grid  # torchvision takes long to import

    from lightning_modules.gan import as_bytes

    times = max(SHOWN_PIXELS // pictures.shape[-1], 1)
    large = as_bytes(pictures.cpu()).repeat_interleave(times, -1).repeat_interleave(times, -2)
    made: Tensor = make_grid(large, nrow=columns, padding=2, pad_value=255)
    return made


def save_picture(picture: Tensor, path: Path) -> None:
    """Save uint8 `(C, H, W)`, C 1 or 3, as a PNG file."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    channels_last = picture.permute(1, 2, 0).contiguous().numpy()
    Image.fromarray(channels_last[..., 0] if len(picture) == 1 else channels_last).save(path)
