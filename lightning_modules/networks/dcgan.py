"""DCGAN: a convolutional generator and discriminator for small images."""

import itertools
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from foundation.argument_checks import require_at_least_one

_COARSEST = 4  # pixels to a side between the linear layer and the convolutions
_STD = 0.02  # of the first weights, as in the paper


class DCGANGenerator(nn.Module):
    r"""Map noise to images in [−1, 1]: a linear layer to 4 × 4 pixels, then transposed convolutions that double it.

    Args:
        channels: Channels of an image, ≥ 1 (1 is grey, 3 is RGB).
        size: Height and width of an image, 4 times a power of 2, ≥ 8.
        width: Channels of the last hidden layer, ≥ 1; each layer before has twice as many.
        latent_size: Size of a noise vector, ≥ 1.

    Shape:
        `(B, latent_size)` → `(B, channels, size, size)`.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> import torch
        >>> DCGANGenerator(channels=3, size=32, width=8)(torch.randn(2, 64)).shape
        torch.Size([2, 3, 32, 32])

    Reference:
        Radford, Metz, Chintala: Unsupervised representation learning with deep convolutional generative adversarial
        networks, 2015.
    """

    def __init__(self, channels: int = 3, size: int = 32, width: int = 32, latent_size: int = 64) -> None:
        super().__init__()
        require_at_least_one(channels=channels, width=width, latent_size=latent_size)
        self.latent_size = latent_size
        widths = [width * 2**level for level in reversed(range(doublings(size)))]
        self.coarsest = nn.Sequential(
            nn.Linear(latent_size, widths[0] * _COARSEST**2, bias=False),
            nn.Unflatten(1, (widths[0], _COARSEST, _COARSEST)),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh()]
        self.finer = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, noise: Tensor) -> Tensor:
        """Return generated images."""
        images: Tensor = self.finer(self.coarsest(noise))
        return images


class DCGANDiscriminator(nn.Module):
    r"""Map images to one logit each, high for real images: convolutions that halve the size, and a linear layer.

    Args:
        channels: Channels of an image, ≥ 1.
        size: Height and width of an image, 4 times a power of 2, ≥ 8.
        width: Channels of the first layer, ≥ 1; each following layer has twice as many.
        normalisation: `batch`: batch normalisation except in the first layer, as in the paper; `spectral`: weights
            divided by their largest singular value, recommended with the hinge loss; or `none`.

    Shape:
        `(B, channels, size, size)` → `(B,)`.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> import torch
        >>> DCGANDiscriminator(channels=3, size=32, width=8)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2])

    Reference:
        Radford, Metz, Chintala, 2015, as for the generator; Miyato et al.: Spectral normalization for generative
        adversarial networks, 2018.
    """

    def __init__(
        self,
        channels: int = 3,
        size: int = 32,
        width: int = 32,
        normalisation: Literal["batch", "spectral", "none"] = "batch",
    ) -> None:
        super().__init__()
        require_at_least_one(channels=channels, width=width)
        if normalisation not in ("batch", "spectral", "none"):
            raise ValueError(f"normalisation must be 'batch', 'spectral' or 'none', got {normalisation!r}.")
        widths = [channels, *(width * 2**level for level in range(doublings(size)))]
        layers: list[nn.Module] = []
        for level, (before, after) in enumerate(itertools.pairwise(widths)):
            normalised = normalisation == "batch" and level > 0
            layers.append(nn.Conv2d(before, after, 4, 2, 1, bias=not normalised))
            layers += [nn.BatchNorm2d(after)] if normalised else []
            layers.append(nn.LeakyReLU(0.2))
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(widths[-1] * _COARSEST**2, 1)
        self.apply(_initialise)
        if normalisation == "spectral":
            for module in [*self.features, self.head]:
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    spectral_norm(module)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.features(images))
        return logits.squeeze(1)


def doublings(size: int) -> int:
    """Return how often 4 must be doubled to get `size`.

    Raises:
        ValueError: `size` is not 4 times a power of 2, or below 8.

    Example:
        >>> doublings(32)
        3
    """
    times = (size // _COARSEST).bit_length() - 1
    if times < 1 or _COARSEST * 2**times != size:
        raise ValueError(f"size must be 4 times a power of 2 and ≥ 8 (8, 16, 32, 64, …), got {size}.")
    return times


def _initialise(module: nn.Module) -> None:
    """Initialise weights as in the paper: normal around 0, and around 1 for normalisations."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(module.weight, 0.0, _STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, _STD)
