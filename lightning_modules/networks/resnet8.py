"""A small residual network that trains fast on a CPU."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from foundation.argument_checks import require_at_least_one
from lightning_modules.networks.amx_convolution import AMXConv2d


class ResNet8(nn.Module):
    r"""Eight layers: a 2×2 stem, three stages of two 3×3 convolutions with a shortcut over the second, a linear layer.

    $$s_i(x) = h + \operatorname{ReLU}(\operatorname{BN}(\operatorname{conv}(h))), \qquad
    h = \operatorname{ReLU}(\operatorname{BN}(\operatorname{pool}_2(\operatorname{conv}(x))))$$

    The layout is that of airbench94: a stem on patches of 2 × 2 pixels, and pooling before the normalisation. airbench
    computes a whitening of the patches from the training images. The stem here starts from the cosine basis instead,
    which nearly decorrelates natural images and needs no data; the normalisation after it makes the variances equal.
    The stem outputs both signs of each response (CReLU).

    Args:
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1 (1 is grey, 3 is RGB). The stem has 8 · in_channels channels.
        widths: Channels of the three stages, each ≥ 1. The first mostly determines time and memory, the last the number
            of parameters.
        frozen_stem: Do not train the filters, scales and shifts of the stem, which start close to what they would
            learn. Without gradients in the stem a step is 1.4 times as fast on a CPU (docs/speedrun.md).

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, with H and W ≥ 9.

    Raises:
        ValueError: An argument is below 1, or there are not three widths.

    Example:
        >>> ResNet8(num_classes=7)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 7])

    Reference:
        He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, 2015. Page: How to Train Your ResNet, 2018
        (a network cut down for speed: ResNet-9). Jordan: 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, 2024 (the
        layout). Shang et al.: Understanding and Improving Convolutional Neural Networks via Concatenated
        Rectified Linear Units, 2016.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        widths: Sequence[int] = (64, 128, 256),
        frozen_stem: bool = False,
    ) -> None:
        super().__init__()
        if len(widths) != 3:
            raise ValueError(f"widths must be three numbers, one a stage, got {len(widths)}: {list(widths)}.")
        require_at_least_one(num_classes=num_classes, in_channels=in_channels, width=min(widths))
        self.stem = CosineStem(in_channels).requires_grad_(not frozen_stem)
        channels = [self.stem.out_channels, *widths]
        self.stages = nn.Sequential(*(ResidualStage(channels[i], channels[i + 1]) for i in range(3)))
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of images."""
        features: torch.Tensor = self.stages(self.stem(images))  # 32 → 31 → 15 → 7 → 3 pixels
        logits: torch.Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


class CosineStem(nn.Module):
    """Responses of 2 × 2 patches to the cosine basis, normalised, with both signs, rectified.

    Args:
        in_channels: Channels of an image, ≥ 1.

    Shape:
        `(B, C, H, W)` → `(B, 8·C, H - 1, W - 1)`.

    Example:
        >>> CosineStem(1)(torch.zeros(2, 1, 9, 9)).shape
        torch.Size([2, 8, 8, 8])
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        patch = 4 * in_channels
        self.out_channels = 2 * patch
        self.conv = nn.Conv2d(in_channels, patch, kernel_size=2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(cosine_basis(in_channels, 2, 2))
        self.norm = nn.BatchNorm2d(patch)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return responses of both signs, rectified."""
        return F.relu(self.responses(images))

    def responses(self, images: torch.Tensor) -> torch.Tensor:
        """Return responses of both signs."""
        response = self.norm(self.conv(images))
        return torch.cat([response, -response], dim=1)


class ResidualStage(nn.Module):
    """A convolution that halves the resolution, and a second one with a shortcut over it.

    Args:
        in_channels: Channels of the input, ≥ 1.
        out_channels: Channels of the output, ≥ 1.

    Shape:
        `(B, in_channels, H, W)` → `(B, out_channels, H // 2, W // 2)`.

    Example:
        >>> ResidualStage(8, 16)(torch.zeros(2, 8, 15, 15)).shape
        torch.Size([2, 16, 7, 7])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        # No biases: the normalisations that follow subtract them again.
        self.conv1 = AMXConv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = AMXConv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features at half the resolution."""
        # Pooling first leaves the normalisation a quarter of the work.
        hidden = F.relu(self.norm1(F.max_pool2d(self.conv1(inputs), 2)))
        return hidden + F.relu(self.norm2(self.conv2(hidden)))


def cosine_basis(*sizes: int) -> torch.Tensor:
    r"""Return the orthonormal basis of the type-II cosine transform of an array of these sizes.

    In one dimension of size $n$: $b_k(i) = \sqrt{(2 - [k = 0]) / n}\,\cos(\pi k (i + 1/2) / n)$; in several, all
    products.

    Args:
        sizes: Size of each dimension, ≥ 1.

    Shape:
        `(prod(sizes), *sizes)`, one basis array per row.

    Example:
        >>> cosine_basis(2)
        tensor([[ 0.7071,  0.7071],
                [ 0.7071, -0.7071]])

    Reference:
        Ahmed, Natarajan, Rao: Discrete Cosine Transform, 1974.
    """
    basis = torch.ones(1, dtype=torch.float64)
    for n in sizes:
        k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)
        rows = torch.cos(math.pi * k * (i + 0.5) / n) * torch.sqrt((2.0 - (k == 0).double()) / n)
        basis = torch.kron(basis, rows)
    return basis.reshape(-1, *sizes).float()
