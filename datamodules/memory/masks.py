"""Base class of data sources for segmentation: the target is a class for every pixel."""

from torch import Tensor

from datamodules.memory.data_module import ImageDataModule
from datamodules.memory.images import Batch


class MaskDataModule(ImageDataModule):
    """Images with masks: the targets of :class:`~datamodules.memory.images.Images` are uint8 ``(N, H, W)``.

    An augmentation that only moves pixels (crop, flip) moves the mask with its image. Where the image has no pixel of
    its own (zero padding, Cutout) the mask gets the class `ignored_class`, which the loss must ignore
    (`--model.loss.ignore_index 255`). An augmentation that mixes images or changes colours is an error.
    """

    ignored_class: int = 255
    """Class number of pixels without a label."""

    masks = True

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
            step = self._augmentation
            images, masks = step.with_masks(images, masks, rows, self.seed, epoch, self.ignored_class)
        images, masks = super().prepare_batch((images, masks, rows), training=False)
        return images, masks.long()
