"""Base class of data sources for segmentation: the target is a class for every pixel."""

import torch
from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Batch


class MaskDataModule(ImageDataModule):
    """Images with masks: the targets of :class:`~datamodules.memory.images.Images` are uint8 ``(N, H, W)``.

    The augmentation transforms the mask together with its image: it gets the mask as an additional channel, so it may
    move pixels (crop, flip) but must not mix images or change colours.
    """

    mixable = False
    resizable = False

    def prepare_batch(self, batch: Batch, training: bool, epoch: int = 0) -> tuple[Tensor, Tensor]:
        """Augment image and mask together, and normalise the image.

        Shape:
            images ``(B, C, H, W)`` uint8, masks ``(B, H, W)`` uint8, rows ``(B,)`` →
            images ``(B, C, H', W')`` float32, masks ``(B, H', W')`` int64.
        """
        images, masks, rows = batch
        if training and self._augmentation is not None:
            both = torch.cat([images, masks.unsqueeze(1)], dim=1).contiguous(memory_format=torch.channels_last)
            both = self._augmentation(both, rows, self.seed, epoch)
            images, masks = both[:, :-1], both[:, -1]
        images, masks = super().prepare_batch((images, masks, rows), training=False)
        return images, masks.long()
