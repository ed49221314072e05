"""ResNet-18 for images of 32 × 32 pixels."""

from torch import nn
from torchvision.models.resnet import BasicBlock, ResNet

from foundation.argument_checks import require_at_least_one


class ResNet18Cifar(ResNet):
    r"""torchvision's ResNet-18 with the CIFAR stem: a 3×3 convolution of stride 1 and no max-pooling.

    The stem for ImageNet (7×7, stride 2, then max-pooling) would reduce 32 × 32 pixels to 8 × 8 before the first block.
    Everything after the stem is torchvision's, with the same keys in `state_dict`.

    Args:
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1 (1 is grey, 3 is RGB).

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, designed for H = W = 32.

    Raises:
        ValueError: An argument is below 1.

    Example:
        >>> import torch
        >>> ResNet18Cifar(num_classes=7)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 7])

    Reference:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015. The paper's own CIFAR networks (§4.2)
        are narrower; this is its ResNet-18 (§4.1) with the stem of §4.2, as it is commonly trained on CIFAR.
    """

    amx_convolution = True

    def __init__(self, num_classes: int = 10, in_channels: int = 3) -> None:
        require_at_least_one(num_classes=num_classes, in_channels=in_channels)
        super().__init__(BasicBlock, [2, 2, 2, 2], num_classes=num_classes)
        self.conv1 = nn.Conv2d(in_channels, 64, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")  # as ResNet initialises its own
        self.maxpool = nn.Identity()
