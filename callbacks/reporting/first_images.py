"""Log the images of the first training batch to TensorBoard, as the network receives them."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from foundation.images import contact_sheet, is_image_batch
from foundation.loggers import tensorboards


class FirstImages(Callback):
    """Log the first batch's images to TensorBoard, augmented and normalised, with the contrast stretched.

    A hook on the module's `network` is removed after one call, so other steps cost nothing. Without a TensorBoard
    logger, a `network`, or images of one or three channels, it does nothing.

    | key | value |
    | --- | --- |
    | `images/first training batch` | up to 16 images |
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Register a hook on the network, unless the run is resumed."""
        boards = tensorboards(trainer) if trainer.is_global_zero else []
        network = getattr(pl_module, "network", None)
        if not boards or trainer.global_step or not isinstance(network, nn.Module):
            return

        def log_images(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            handle.remove()
            if inputs and isinstance(inputs[0], Tensor) and is_image_batch(inputs[0]):
                for board in boards:
                    board.add_image("images/first training batch", contact_sheet(inputs[0]), 0)

        handle = network.register_forward_pre_hook(log_images)
