"""MixUp and CutMix: pairs of images become one, targets in proportion; (seed, epoch, batch) decide everything."""

import math
from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augmentations.base import Augmentation
from foundation.counter_random import mix, random_below, random_bits

_PAIRS, _SHARE, _WHETHER, _BOX_Y, _BOX_X = 7, 8, 9, 10, 11  # streams of random numbers, after those of Cutout
_STEPS = 1 << 16  # in which the distribution of the share is tabulated


class Mixing(Augmentation):
    r"""What MixUp and CutMix share: image $i$ of a batch is mixed with image $\pi(i)$ of it, at one share.

    The share $\lambda \sim \text{Beta}(\alpha, \alpha)$ is that of the image itself. It, the permutation $\pi$ and
    CutMix's place are functions of the seed, the epoch and the batch's rows, and these of the place in the epoch and
    the process: a resumed run mixes the same, processes mix differently. All of it happens on the batch's device.

    Class numbers become shares of classes `(B, K)`; numbers and labels are mixed as they are. So the loss must take
    soft targets; training accuracy counts the class with the larger share. Validation and test are not mixed.

    Args:
        alpha: > 0; 1: every share as likely; below 1 most batches are hardly mixed, above it most are half and half.
        probability: In [0, 1]: how many batches are mixed at all.

    Raises:
        ValueError: If an argument is outside its range.
    """

    mixes = True

    def __init__(self, alpha: float, probability: float = 1.0) -> None:
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ValueError(f"alpha must be > 0, got {alpha:g}.")
        if not 0 <= probability <= 1:
            raise ValueError(f"probability must be in [0, 1], got {probability:g}.")
        self.alpha, self.probability = alpha, probability
        self._quantiles: dict[torch.device, Tensor] = {}

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Leave the bytes alone; what is normalised is mixed."""
        return images

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix a batch, see :meth:`~datamodules.augmentations.base.Augmentation.mix`."""
        partner = self.partners(rows, seed, epoch)
        images, share = self.blend(images, images[partner], self.share(rows, seed, epoch), rows, seed, epoch)
        return images, torch.lerp(targets[partner], targets, share.to(targets.dtype))

    @abstractmethod
    def blend(
        self, images: Tensor, others: Tensor, share: Tensor, rows: Tensor, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """The mixed images, and the share that the images themselves really have, `()`."""

    def partners(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """The permutation `(B,)`: who is mixed with whom."""
        return random_bits(mix(seed, epoch, _PAIRS), rows).argsort()

    def share(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """λ of the batch, `()`, float32; 1 where it is not mixed."""
        first = rows[:1]  # which batch of the epoch this is, and whose
        drawn = random_below(_STEPS, mix(seed, epoch, _SHARE), first)
        share = self._table(rows.device)[drawn].squeeze(0)
        if self.probability == 1:
            return share
        chance = random_below(1 << 24, mix(seed, epoch, _WHETHER), first).squeeze(0)
        return torch.where(chance < self.probability * (1 << 24), share, 1.0)

    def _table(self, device: torch.device) -> Tensor:
        """Quantiles of the distribution, so that drawing is looking up, without asking the host."""
        if device not in self._quantiles:
            from scipy.special import betaincinv  # scipy takes long to import

            middles = (torch.arange(_STEPS, dtype=torch.float64) + 0.5) / _STEPS
            table = torch.from_numpy(betaincinv(self.alpha, self.alpha, middles.numpy()))
            self._quantiles[device] = table.float().to(device)
        return self._quantiles[device]


class MixUp(Mixing):
    r"""Lay two images over each other: $\lambda x_i + (1 - \lambda) x_{\pi(i)}$, and their targets alike.

    Args:
        alpha: See :class:`Mixing`; the paper's 0.2 for ImageNet, 1 for CIFAR.
        probability: See :class:`Mixing`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> images, classes = torch.eye(2).view(2, 1, 1, 2), torch.eye(2)
        >>> mixed, targets = MixUp(alpha=1.0).mix(images, classes, torch.tensor([4, 7]), seed=0, epoch=0)
        >>> torch.equal(mixed.flatten(1), targets), targets.sum(1)
        (True, tensor([1., 1.]))

    Reference:
        H. Zhang, M. Cissé, Y. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", 2018.
    """

    def __init__(self, alpha: float = 0.2, probability: float = 1.0) -> None:
        super().__init__(alpha, probability)

    def blend(
        self, images: Tensor, others: Tensor, share: Tensor, rows: Tensor, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Weigh and add."""
        return torch.lerp(others, images, share.to(images.dtype)), share


class CutMix(Mixing):
    r"""Paste a box of another image in: its sides are $\sqrt{1 - \lambda}$ of the image's, its centre is anywhere.

    What lies outside the image is lost; the targets are mixed in proportion to the pixels.

    Args:
        alpha: See :class:`Mixing`; the paper's is 1.
        probability: See :class:`Mixing`; the paper's is 0.5 for CIFAR.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> images, classes = torch.stack([torch.zeros(1, 8, 8), torch.ones(1, 8, 8)]), torch.eye(2)
        >>> mixed, targets = CutMix(alpha=1.0).mix(images, classes, torch.tensor([4, 7]), seed=0, epoch=0)
        >>> torch.equal(mixed.mean((1, 2, 3)), targets[:, 1])
        True

    Reference:
        S. Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019.
    """

    def __init__(self, alpha: float = 1.0, probability: float = 1.0) -> None:
        super().__init__(alpha, probability)

    def blend(
        self, images: Tensor, others: Tensor, share: Tensor, rows: Tensor, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Paste."""
        inside_y, inside_x = (
            covered(length, random_below(length, mix(seed, epoch, stream), rows[:1]), share)
            for length, stream in zip(images.shape[-2:], (_BOX_Y, _BOX_X), strict=True)
        )
        mixed = torch.where(inside_y.unsqueeze(1) & inside_x, others, images)
        lost = inside_y.sum() * inside_x.sum() / (len(inside_y) * len(inside_x))
        return mixed, 1 - lost


def covered(length: int, centre: Tensor, share: Tensor) -> Tensor:
    """Which places along a side lie in the box: `⌊length · ½√(1 − share)⌋` to each side of the centre, `(length,)`."""
    half = (length * (0.5 * (1 - share.double()).sqrt())).floor()
    places = torch.arange(length, device=centre.device)
    return (places >= centre - half) & (places < centre + half)


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """Targets that can be mixed: class numbers `(B,)` as `(B, num_classes)`, all else in floating point.

    Example:
        >>> soft_targets(torch.tensor([1, 0]), num_classes=2)
        tensor([[0., 1.],
                [1., 0.]])
    """
    if targets.ndim == 1 and not targets.is_floating_point():
        return F.one_hot(targets, num_classes).float()
    return targets.float()
