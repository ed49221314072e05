"""What a pretrained network expects of its images: size, normalisation, and how they are resized and cropped."""

from dataclasses import dataclass
from typing import Any, Literal

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True)
class NetworkInput:
    """The images that a network was pretrained with; it has one as `network_input`, and the data follows it.

    Args:
        height: In pixels, ≥ 1.
        width: In pixels, ≥ 1.
        mean: Of each channel, in [0, 1].
        std: Of each channel, > 0.
        interpolation: How images are resized.
        crop_share: Share of the side of the resized image that the middle crop keeps, in (0, 1].

    Example:
        >>> NetworkInput(224, 224, (0.5,), (0.5,), "bicubic", 0.875).stored_size(224, 224)
        (256, 256)
    """

    height: int
    width: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation = "bilinear"
    crop_share: float = 1.0

    def stored_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the size of the images from whose middle a crop of this size is taken."""
        return int(height / self.crop_share), int(width / self.crop_share)

    def statistics(self, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation for images of so many channels; for others than its own, the means."""
        if channels == len(self.mean):
            return self.mean, self.std
        return tuple(tuple(sum(each) / len(each) for _ in range(channels)) for each in (self.mean, self.std))  # type: ignore[return-value]


def network_input_of(module: Any) -> NetworkInput | None:
    """Return what the network of a LightningModule, or the module itself, was pretrained with, if it says so."""
    for owner in (getattr(module, "network", None), module):
        found = getattr(owner, "network_input", None)
        if isinstance(found, NetworkInput):
            return found
    return None
