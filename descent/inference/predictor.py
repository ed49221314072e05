"""Forward passes of a trained network on the run's device, in the run's precision."""

from typing import Any, cast

import torch
from torch import Tensor

from datamodules.memory.images import Batch
from descent.inference.loading import TrainedNetwork


class Predictor:
    """Run the network on batches as validation does, without a Trainer's loop.

    Args:
        trained: The network; its module is moved to the device.
    """

    def __init__(self, trained: TrainedNetwork) -> None:
        self.device = trained.trainer.strategy.root_device
        self.precision: Any = trained.trainer.precision_plugin
        self.module = self.precision.convert_module(trained.module).to(self.device).eval()
        self.data = trained.data

    @torch.inference_mode()
    def __call__(self, batch: Batch, mirrored: bool = False) -> Tensor:
        """Return the module's output for a batch of a data loader, on the device, without waiting for the device.

        Args:
            batch: The batch.
            mirrored: Whether to exchange left and right of what the network gets, images `(B, C, H, W)`.
        """
        inputs = self.inputs(batch)
        if mirrored:
            inputs = inputs.flip(-1)
        with self.precision.forward_context():
            return cast(Tensor, self.module(inputs))

    def inputs(self, batch: Batch) -> Tensor:
        """Return what the network gets of a batch, on the device and in its precision."""
        on_device = tuple(part.to(self.device, non_blocking=True) for part in batch)
        return cast(Tensor, self.precision.convert_input(self.data.on_after_batch_transfer(on_device, 0)[0]))

    def forward_pixels(self, pixels: Tensor, mirrored: bool = False) -> Tensor:
        """Return the module's output for the pixels of image files, uint8 `(B, H, W, C)`, 255 is white.

        Args:
            pixels: The images.
            mirrored: Whether to exchange left and right.
        """
        pixels = in_white(pixels, self.data.white)  # type: ignore[attr-defined]
        unused = torch.zeros(len(pixels), dtype=torch.int64)  # stands for the targets and the row numbers
        return self((pixels.permute(0, 3, 1, 2), unused, unused), mirrored)


def in_white(pixels: Tensor, white: int) -> Tensor:
    """Scale the pixels of image files, in which white is 255, to the white of the data."""
    return pixels if white == 255 else (pixels.to(torch.int32) * white + 127).floor_divide(255).to(torch.uint8)


def out_of_white(pixels: Tensor, white: int) -> Tensor:
    """Scale pixels of the data to those of image files, in which white is 255: the inverse of `in_white`.

    Example:
        >>> levels = torch.arange(17, dtype=torch.uint8)
        >>> torch.equal(in_white(out_of_white(levels, 16), 16), levels)
        True
    """
    return pixels if white == 255 else (pixels.to(torch.int32) * 255).floor_divide(white).to(torch.uint8)
