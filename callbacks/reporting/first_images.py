"""The images of the first training batch, as the network sees them, in TensorBoard."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from foundation.images import contact_sheet, is_image_batch
from foundation.trainer_logs import tensorboards


class FirstImages(Callback):
    """Put the first batch's images, augmented and normalised, into TensorBoard, spread to the range of its values.

    It listens to the module's `network` for one call: the other steps cost nothing, and no number changes. Without a
    TensorBoard logger, images of one or three channels, or a `network`, it does nothing.

    | what | tag |
    | --- | --- |
    | up to 16 images | `images/first training batch` |
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen, where the run begins."""
        boards = tensorboards(trainer) if trainer.is_global_zero else []
        network = getattr(pl_module, "network", None)
        if not boards or trainer.global_step or not isinstance(network, nn.Module):
            return

        def look(layer: nn.Module, fed: tuple[Any, ...]) -> None:
            handle.remove()
            if fed and isinstance(fed[0], Tensor) and is_image_batch(fed[0]):
                for board in boards:
                    board.add_image("images/first training batch", contact_sheet(fed[0]), 0)

        handle = network.register_forward_pre_hook(look)
