"""The pictures of the first training batch, as the network sees them, in TensorBoard."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from callbacks.tensorboards import tensorboards

SHOWN = 16


class FirstPictures(Callback):
    """Put the first batch's pictures, augmented and normalised, into TensorBoard, spread to the range of its values.

    It listens to the module's `network` for one call: the other steps cost nothing, and no number changes. Without a
    TensorBoard logger, pictures of one or three channels, or a `network`, it does nothing.

    | what | tag |
    | --- | --- |
    | up to 16 pictures | `pictures/first training batch` |
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen, where the run begins."""
        boards = tensorboards(trainer) if trainer.is_global_zero else []
        network = getattr(pl_module, "network", None)
        if not boards or trainer.global_step or not isinstance(network, nn.Module):
            return

        def look(layer: nn.Module, fed: tuple[Any, ...]) -> None:
            handle.remove()
            if fed and isinstance(fed[0], Tensor) and is_picture_batch(fed[0]):
                for board in boards:
                    board.add_image("pictures/first training batch", contact_sheet(fed[0]), 0)

        handle = network.register_forward_pre_hook(look)


def is_picture_batch(batch: Tensor) -> bool:
    """Whether these are pictures `(B, C, H, W)` with C 1 or 3, of more than one pixel."""
    return batch.ndim == 4 and batch.shape[1] in (1, 3) and min(batch.shape[2:]) > 1


def contact_sheet(batch: Tensor) -> Tensor:
    """The first pictures beside each other, uint8 `(3, H, W)`, small ones enlarged.

    Args:
        batch: `(B, C, H, W)`, C 1 or 3, of any range.

    Example:
        >>> contact_sheet(torch.linspace(0, 1, 20 * 64).view(20, 1, 8, 8)).shape
        torch.Size([3, 266, 266])
    """
    from torchvision.utils import make_grid

    pictures = batch[:SHOWN].detach().float().cpu()
    low, high = pictures.amin(), pictures.amax()
    pictures = (pictures - low) / (high - low).clamp(min=1e-12)
    times = max(1, 64 // pictures.shape[-1])
    pictures = pictures.repeat_interleave(times, -1).repeat_interleave(times, -2)
    return (make_grid(pictures, nrow=4, padding=2, pad_value=1.0) * 255).to(torch.uint8)
