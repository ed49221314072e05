"""Random resized crop and flip: a random part of a photograph, scaled to the size that the network takes."""

import copy
import math
from functools import partial
from typing import Literal, Self

import torch
from torch import Tensor, nn

from datamodules.augmentations.base import RandomAugmentation
from datamodules.augmentations.draws import below, flips_of, tried_sides, uniform
from foundation.argument_checks import require_choice
from foundation.counter_random import mix

_AREA, _RATIO, _TOP, _LEFT, _FLIP = 20, 21, 22, 23, 24  # random streams


class RandomResizedCrop(RandomAugmentation):
    """Cut a random part out of each image, scale it to the network's size, and flip half of the images.

    The distribution is that of torchvision's ``RandomResizedCrop``: the part has a uniform share of the area and a
    log-uniform aspect ratio; one of ten tries that fits the image is taken, at a uniform place; else the middle.
    The images are those of the cache, which are larger than what the network takes (``data.stored_size``).

    Args:
        scale: Smallest and largest share of the area, in (0, 1].
        ratio: Smallest and largest width / height, > 0.
        flip: ``random``: each image with probability ½ in each epoch; ``alternating``: a random half in even epochs
            and the other half in odd ones; ``none``.
        size: Height and width of the result. Default: what the network takes, which the data module says.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8)
        >>> RandomResizedCrop(size=(4, 4))(images, torch.tensor([3]), seed=0, epoch=0).shape
        torch.Size([1, 1, 4, 4])

    Reference:
        C. Szegedy et al., "Going Deeper with Convolutions", 2015.
    """

    crops = True

    def __init__(
        self,
        scale: tuple[float, float] = (0.35, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: Literal["random", "alternating", "none"] = "random",
        size: tuple[int, int] | None = None,
    ) -> None:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError(f"scale must be two ascending numbers in (0, 1], got {list(scale)}.")
        if not 0 < ratio[0] <= ratio[1] < math.inf:
            raise ValueError(f"ratio must be two ascending numbers > 0, got {list(ratio)}.")
        require_choice("flip", flip, ("random", "alternating", "none"))
        self.scale, self.ratio, self.flip, self.size = tuple(scale), tuple(ratio), flip, size

    def for_size(self, size: tuple[int, int]) -> Self:
        """Return a copy for this size, unless one is given."""
        known = copy.copy(self)
        known.size = self.size or size
        return known

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Crop, scale and flip a batch."""
        height, width = images.shape[-2:]
        draw = partial(self.boxes, height=height, width=width, seed=seed, epoch=epoch)
        boxes = self.draws("boxes", draw, (seed, epoch, height, width), rows)
        size = self.size or (height, width)
        resized = resized_one_by_one if images.device.type == "cpu" else resized_by_matrices
        return resized(images, boxes, size)

    def boxes(self, rows: Tensor, height: int, width: int, seed: int, epoch: int) -> Tensor:
        """Return top, left, height and width of each part, and whether it is flipped, int64 ``(5, B)``."""
        keys = mix(seed, epoch, _AREA), mix(seed, epoch, _RATIO)
        widths, heights = tried_sides(height * width, self.scale, self.ratio, keys, rows)
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        first = fits.byte().argmax(0, keepdim=True)  # of none that fits: 0, which `where` replaces
        middle_height, middle_width = self._middle(height, width)
        h = torch.where(fits.any(0), heights.gather(0, first)[0], middle_height)
        w = torch.where(fits.any(0), widths.gather(0, first)[0], middle_width)
        top = below(height - h + 1, uniform(mix(seed, epoch, _TOP), rows))
        left = below(width - w + 1, uniform(mix(seed, epoch, _LEFT), rows))
        top = torch.where(fits.any(0), top, (height - middle_height) // 2)
        left = torch.where(fits.any(0), left, (width - middle_width) // 2)
        return torch.stack([top, left, h, w, self.flips(rows, seed, epoch).long()])

    def _middle(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the part that is taken where no try fits: as much as the ratio allows."""
        if width / height < self.ratio[0]:
            return round(width / self.ratio[0]), width
        if width / height > self.ratio[1]:
            return height, round(height * self.ratio[1])
        return height, width

    def flips(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return which images are flipped, ``(B,)`` bool."""
        return flips_of(self.flip, _FLIP, rows, seed, epoch)


def resized_one_by_one(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale the part of each image with torch's kernel, which on a CPU works on bytes in channels_last memory.

    The values are torchvision's, whose function brings each part into another memory format first.

    Shape:
        images ``(B, C, H, W)``, boxes ``(5, B)`` → ``(B, C, *size)``.
    """
    batch, channels = images.shape[:2]
    result = torch.empty(batch, *size, channels, dtype=images.dtype).permute(0, 3, 1, 2)
    for number, (top, left, height, width, flipped) in enumerate(boxes.t().tolist()):
        part = images[number : number + 1, :, top : top + height, left : left + width]
        scaled = nn.functional.interpolate(part, size, mode="bilinear", antialias=True)[0]
        result[number] = scaled.flip(-1) if flipped else scaled
    return result


def resized_by_matrices(images: Tensor, boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale the parts of a batch by two products with matrices of weights; nothing waits for the device.

    Shape:
        images ``(B, C, H, W)``, boxes ``(5, B)`` → ``(B, C, *size)``.
    """
    top, left, height, width, flipped = boxes.unbind()
    rows = weights(top, height, size[0], images.shape[-2])
    columns = weights(left, width, size[1], images.shape[-1])
    columns = torch.where(flipped.bool().view(-1, 1, 1), columns.flip(1), columns)
    scaled = rows.unsqueeze(1) @ images.float() @ columns.transpose(1, 2).unsqueeze(1)
    return scaled.round_().clamp_(0, 255).to(images.dtype).contiguous(memory_format=torch.channels_last)


def weights(start: Tensor, length: Tensor, size: int, total: int) -> Tensor:
    """Return the weights of bilinear scaling with antialiasing: of each input place in each output place.

    Args:
        start: First place of each part ``(B,)``.
        length: Number of places of each part ``(B,)``.
        size: Output places.
        total: Input places.

    Shape:
        ``(B, size, total)`` float32.

    Example:
        >>> weights(torch.tensor([1]), torch.tensor([4]), size=2, total=6)[0]
        tensor([[0.0000, 0.4286, 0.4286, 0.1429, 0.0000, 0.0000],
                [0.0000, 0.0000, 0.1429, 0.4286, 0.4286, 0.0000]])
    """
    step = (length / size).view(-1, 1, 1)
    centres = (torch.arange(size, device=start.device) + 0.5).view(1, -1, 1) * step
    places = torch.arange(total, device=start.device).view(1, 1, -1) - start.view(-1, 1, 1)
    found = (1 - (places + 0.5 - centres).abs() / step.clamp_min(1.0)).clamp_min(0)
    found = found * ((places >= 0) & (places < length.view(-1, 1, 1)))
    return found / found.sum(-1, keepdim=True)
