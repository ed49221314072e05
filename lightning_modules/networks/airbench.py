"""The network of airbench94, a speed record on CIFAR-10, with a whitening stem that needs no data."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from foundation.argument_checks import require_at_least_one
from lightning_modules.networks.amx_convolution import AMXConv2d
from lightning_modules.networks.resnet8 import cosine_basis

# Standard deviations of the responses of the cosine basis, over 5,000 training images of CIFAR-10
_COLOUR = (3.175, 0.492, 0.646, 0.220, 1.013, 0.0588, 0.0833, 0.0152, 0.357, 0.0366, 0.0471, 0.0129)
_GREY = (1.929, 0.299, 0.393, 0.134)  # of the mean of the channels
_WEAKEST = 5e-4


class AirbenchNet(nn.Module):
    r"""airbench94's network: a fixed whitening stem, three stages of two convolutions, and a linear layer.

    $$h = \operatorname{GELU}(\operatorname{BN}(\operatorname{pool}_2(\operatorname{conv}(x)))), \qquad
    s_i(x) = \operatorname{GELU}(\operatorname{BN}(\operatorname{conv}(h))), \qquad
    z = \tfrac{1}{C} W \max_{y,x} s_3$$

    Normalisations have a shift, but no scale. The first filters of each convolution are initialised as the identity.
    The network is made for `lightning_modules.optimizers.NormalisedMuon`, which keeps the norm of each filter bank.

    The original computes the whitening of patches of 2 × 2 pixels from the training images, and trains the biases for
    three epochs. Here the stem is `whitening_filters`, which needs no data, with random biases. Nothing before the
    first stage is trained, so no gradient is computed there. The network expects normalised images.

    Args:
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1. The stem has 8 · in_channels channels.
        widths: Channels of the three stages, each ≥ 1.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, with H and W ≥ 9.

    Raises:
        ValueError: An argument is below 1, or there are not three widths.

    Example:
        >>> AirbenchNet(num_classes=7)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 7])

    Reference:
        K. Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024, and `airbench94_muon` in its repository.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, widths: Sequence[int] = (64, 256, 256)) -> None:
        super().__init__()
        if len(widths) != 3:
            raise ValueError(f"widths must be three numbers, one a stage, got {len(widths)}: {list(widths)}.")
        require_at_least_one(num_classes=num_classes, in_channels=in_channels, width=min(widths))
        filters = whitening_filters(in_channels)
        self.stem = nn.Conv2d(in_channels, 2 * len(filters), kernel_size=2).requires_grad_(False)
        self.stem.weight.copy_(torch.cat([filters, -filters]))
        channels = [self.stem.out_channels, *widths]
        self.stages = nn.Sequential(*(Stage(channels[i], channels[i + 1]) for i in range(3)))
        self.head = nn.Linear(channels[-1], num_classes, bias=False)
        with torch.no_grad():
            self.head.weight.div_(self.head.weight.std())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of images."""
        features = self.stages(F.gelu(self.stem(images)))  # 31 → 15 → 7 → 3 pixels
        largest = F.max_pool2d(features, features.shape[2:]).flatten(1)
        logits: torch.Tensor = self.head(largest) / largest.shape[1]
        return logits


class Stage(nn.Module):
    """A convolution, pooling and a second convolution, each normalised.

    Args:
        in_channels: Channels of the input, ≥ 1.
        out_channels: Channels of the output, ≥ 1.

    Shape:
        `(B, in_channels, H, W)` → `(B, out_channels, H // 2, W // 2)`.

    Example:
        >>> Stage(8, 16)(torch.zeros(2, 8, 15, 15)).shape
        torch.Size([2, 16, 7, 7])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _identity_conv(in_channels, out_channels), _shift_norm(out_channels)
        self.conv2, self.norm2 = _identity_conv(out_channels, out_channels), _shift_norm(out_channels)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features at half the resolution."""
        hidden = F.gelu(self.norm1(F.max_pool2d(self.conv1(inputs), 2)))
        return F.gelu(self.norm2(self.conv2(hidden)))


def whitening_filters(in_channels: int) -> torch.Tensor:
    r"""Return 2 × 2 filters whose responses to normalised photographs are nearly uncorrelated and of variance 1.

    They are the cosine basis $b_k$, each divided by $\sqrt{\sigma_k^2 + 0.0005}$, where $\sigma_k$ is the standard
    deviation of its response over CIFAR-10's training images; the constant limits the noise of the weakest responses.
    Colour images have one basis over all channels, others one per channel.

    Shape:
        `(4 · in_channels, in_channels, 2, 2)`.
    """
    if in_channels == 3:
        return cosine_basis(3, 2, 2) / (torch.tensor(_COLOUR).square() + _WEAKEST).sqrt().view(-1, 1, 1, 1)
    each = cosine_basis(2, 2) / (torch.tensor(_GREY).square() + _WEAKEST).sqrt().view(-1, 1, 1)
    return torch.einsum("ij,khw->ikjhw", torch.eye(in_channels), each).flatten(0, 1)


def _identity_conv(in_channels: int, out_channels: int) -> AMXConv2d:
    conv = AMXConv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    nn.init.dirac_(conv.weight.data[:in_channels])
    return conv


def _shift_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)  # for few, large batches
    norm.weight.requires_grad_(False)
    return norm
