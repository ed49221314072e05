"""A network's outputs, a batch at a time, on the run's device in the run's precision."""

from typing import Any, cast

import torch
from torch import Tensor

from datamodules.memory.images import Batch
from descent.inference.loading import Trained


class Scorer:
    """Calls the network as validation does, without a trainer's loop.

    Args:
        trained: What is asked; its module goes to the device.
    """

    def __init__(self, trained: Trained) -> None:
        self.device = trained.trainer.strategy.root_device
        self.precision: Any = trained.trainer.precision_plugin
        self.module = self.precision.convert_module(trained.module).to(self.device).eval()
        self.data = trained.data

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Tensor:
        """What the module's `forward` gives for a batch of a loader, on the device; the host does not wait for it."""
        there = tuple(part.to(self.device, non_blocking=True) for part in batch)
        inputs = self.data.on_after_batch_transfer(there, 0)[0]
        with self.precision.forward_context():
            return cast(Tensor, self.module(self.precision.convert_input(inputs)))

    def images(self, pixels: Tensor) -> Tensor:
        """The same for pixels `(B, H, W, C)` uint8 of image files, in which 255 is white."""
        white = getattr(self.data, "white", 255)
        if white != 255:
            pixels = (pixels.to(torch.int32) * white + 127).floor_divide(255).to(torch.uint8)
        nothing = torch.zeros(len(pixels), dtype=torch.int64)
        return self((pixels.permute(0, 3, 1, 2), nothing, nothing))
