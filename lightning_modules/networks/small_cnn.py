"""A small convolutional network for small images."""

import torch
from torch import nn

from foundation.argument_checks import require_at_least_one


class SmallCNN(nn.Module):
    r"""Three convolutions of width, 2·width and 4·width channels, a global mean, a linear layer.

    $$z = W\,\operatorname{mean}_{h,w} f_3(f_2(f_1(x))) + b, \qquad f_i = \operatorname{pool}_2 ∘ \operatorname{ReLU} ∘
    \operatorname{BN} ∘ \operatorname{conv}_{3×3}$$

    The last block has no pooling. Because of the global mean, images of any size fit.

    Args:
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1 (1 is grey, 3 is RGB).
        width: Channels of the first convolution, ≥ 1. Parameters and time grow with its square.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, with H and W ≥ 4.

    Raises:
        ValueError: An argument is below 1.

    Example:
        >>> SmallCNN(num_classes=10, in_channels=1)(torch.zeros(2, 1, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: int = 32) -> None:
        super().__init__()
        require_at_least_one(num_classes=num_classes, in_channels=in_channels, width=width)
        self.features = nn.Sequential(
            *_block(in_channels, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 4 * width),
        )
        self.head = nn.Linear(4 * width, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of images."""
        features: torch.Tensor = self.features(images)  # (B, 4·width, H/4, W/4)
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def _block(in_channels: int, out_channels: int) -> list[nn.Module]:
    # No bias: the normalisation that follows subtracts it again.
    convolution = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]
