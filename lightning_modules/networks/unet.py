"""A small U-Net for segmentation."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_at_least_one, require_between


class UNet(nn.Module):
    r"""Convolutions at decreasing, then increasing resolution, with a skip connection at each resolution.

    Args:
        num_classes: Logits per pixel, ≥ 1.
        in_channels: Channels of an image, ≥ 1.
        width: Channels at full resolution, ≥ 1; each lower resolution has twice as many.
        depth: How often the resolution is halved, in [1, 8].
        outputs: Logits per pixel instead of `num_classes`, ≥ 1; 1 for binary segmentation.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes, H, W)` for any size: images are padded to a multiple of
        2^depth by repeating their edge, and the logits are cropped.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> UNet(num_classes=4, in_channels=3)(torch.zeros(2, 3, 30, 33)).shape
        torch.Size([2, 4, 30, 33])

    Reference:
        Ronneberger, Fischer, Brox: U-Net: convolutional networks for biomedical image segmentation, 2015 (here with
        padding and batch normalisation).
    """

    def __init__(
        self, num_classes: int = 2, in_channels: int = 3, width: int = 16, depth: int = 3, outputs: int | None = None
    ) -> None:
        super().__init__()
        require_at_least_one(outputs=1 if outputs is None else outputs)
        num_classes = num_classes if outputs is None else outputs
        require_at_least_one(num_classes=num_classes, in_channels=in_channels, width=width)
        require_between("depth", depth, 1, 8)  # each level has four times the weights of the one before
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _block(before, after) for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(after, before, 2, stride=2) for before, after in itertools.pairwise(widths)
        )
        self.merge = nn.ModuleList(_block(2 * channels, channels) for channels in widths[:-1])
        self.head = nn.Conv2d(width, num_classes, kernel_size=1)
        self.multiple = 2**depth

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of every pixel."""
        height, width = images.shape[-2:]
        right, below = -width % self.multiple, -height % self.multiple
        x = F.pad(images, (0, right, 0, below), mode="replicate") if right or below else images
        skipped: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skipped.append(x)
        for level in reversed(range(len(self.up))):
            x = self.merge[level](torch.cat([skipped[level], self.up[level](x)], dim=1))
        logits: Tensor = self.head(x)
        return logits[..., :height, :width]


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return two 3×3 convolutions, each with batch normalisation and ReLU."""
    layers: list[nn.Module] = []
    for channels in (in_channels, out_channels):
        layers += [nn.Conv2d(channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]
    return nn.Sequential(*layers)
