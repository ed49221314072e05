"""MixUp and CutMix: two images are combined into one, and their targets in proportion."""

import math
from abc import abstractmethod
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from datamodules.augmentations.base import RandomAugmentation
from foundation.argument_checks import require_between
from foundation.counter_random import mix, random_below, random_bits
from foundation.hardware import widest_float

_PAIRS, _SHARE, _WHETHER, _BOX_Y, _BOX_X = 7, 8, 9, 10, 11  # random streams, after those of Cutout
_STEPS = 1 << 16  # quantiles in the table of the share's distribution


class Mixing(RandomAugmentation):
    r"""Base class of MixUp and CutMix: image $i$ of a batch is mixed with image $\pi(i)$, all with the same share.

    The share $\lambda \sim \text{Beta}(\alpha, \alpha)$ is that of image $i$. The share, the permutation $\pi$ and
    CutMix's box are functions of the seed, the epoch and the rows of the batch, so a resumed run mixes in the same way,
    and each process in its own. Everything is computed on the device.

    Class numbers become class probabilities `(B, K)`; numbers and labels are mixed directly. So the loss must take soft
    targets; training accuracy counts the class with the larger share. Validation and test are not mixed.

    Args:
        alpha: α > 0. With 1 all shares are equally likely; below 1 most batches are hardly mixed, above 1 most are
            mixed about half and half.
        probability: Share of the batches that are mixed, in [0, 1].

    Raises:
        ValueError: If an argument is outside its range.
    """

    mixes = True

    def __init__(self, alpha: float, probability: float = 1.0) -> None:
        if not (alpha > 0 and math.isfinite(alpha)):
            raise ValueError(f"alpha must be > 0, got {alpha:g}.")
        require_between("probability", probability, 0, 1)
        self.alpha, self.probability = alpha, probability
        self._quantiles: dict[torch.device, Tensor] = {}

    def __call__(self, images: Tensor, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return the images unchanged; they are mixed once they are normalised."""
        return images

    def mix(self, images: Tensor, targets: Tensor, rows: Tensor, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix a batch, see :meth:`~datamodules.augmentations.base.Augmentation.mix`."""
        partner = self.partners(rows, seed, epoch)
        others, share = images[partner], self.share(rows, seed, epoch)  # index_select would change the memory format
        images, share = self.blend(images, others, share, rows, seed, epoch)
        return images, torch.lerp(targets.index_select(0, partner), targets, share.to(targets.dtype))

    @abstractmethod
    def blend(
        self, images: Tensor, others: Tensor, share: Tensor, rows: Tensor, seed: int, epoch: int
    ) -> tuple[Tensor, Tensor]:
        """Return the mixed images, and the share `()` that the images themselves have in them."""

    def partners(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return the permutation `(B,)`: the partner of each image."""
        draw = partial(random_bits, mix(seed, epoch, _PAIRS))
        return self.draws("partners", draw, (seed, epoch), rows).argsort()

    def share(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return λ of the batch, `()`, float32; 1 if it is not mixed."""
        first = rows[:1]  # identifies the batch within the epoch and over the processes
        return self.draws("share", partial(self.shares, seed=seed, epoch=epoch), (seed, epoch), first).squeeze(0)

    def shares(self, rows: Tensor, seed: int, epoch: int) -> Tensor:
        """Return λ of the batches that begin with each of these rows, `(B,)`."""
        share = self._table(rows.device)[random_below(_STEPS, mix(seed, epoch, _SHARE), rows)]
        if self.probability == 1:
            return share
        chance = random_below(1 << 24, mix(seed, epoch, _WHETHER), rows)
        return torch.where(chance < self.probability * (1 << 24), share, 1.0)

    def _table(self, device: torch.device) -> Tensor:
        """Return quantiles of the distribution, from which the device draws without waiting for the host."""
        if device not in self._quantiles:
            from scipy.special import betaincinv  # scipy takes long to import

            middles = (torch.arange(_STEPS, dtype=torch.float64) + 0.5) / _STEPS
            table = torch.from_numpy(betaincinv(self.alpha, self.alpha, middles.numpy()))
            self._quantiles[device] = table.float().to(device)
        return self._quantiles[device]


class MixUp(Mixing):
    r"""Blend two images, $\lambda x_i + (1 - \lambda) x_{\pi(i)}$, and their targets in the same way.

    Args:
        alpha: See :class:`Mixing`; the paper uses 0.2 for ImageNet and 1 for CIFAR.
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
        """Return the weighted mean."""
        return torch.lerp(others, images, share.to(images.dtype)), share


class CutMix(Mixing):
    r"""Paste a box of another image: its sides are $\sqrt{1 - \lambda}$ of the image's, its centre lies anywhere.

    The part of the box outside the image is cut off; the targets are mixed in proportion to the pixels.

    Args:
        alpha: See :class:`Mixing`; the paper uses 1.
        probability: See :class:`Mixing`; the paper uses 0.5 for CIFAR.

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
        """Return the images with the boxes pasted in."""
        height, width = images.shape[-2:]
        draw = partial(self.boxes, height=height, width=width, seed=seed, epoch=epoch)
        box = self.draws("boxes", draw, (seed, epoch, height, width), rows[:1])
        top, bottom, left, right, own = box.unbind()
        inside = covered(height, top, bottom).unsqueeze(1) & covered(width, left, right)
        return torch.where(inside, others, images), own.squeeze(0)

    def boxes(self, rows: Tensor, height: int, width: int, seed: int, epoch: int) -> Tensor:
        """Return the box of the batches that begin with each of these rows, float64 `(5, B)` (MPS: float32).

        Top, bottom, left and right side, and the share that the images keep.
        """
        share = self.shares(rows, seed, epoch)
        half = 0.5 * (1 - share.to(widest_float(share.device))).sqrt()
        sides = []
        replaced = torch.ones_like(rows)
        for length, stream in ((height, _BOX_Y), (width, _BOX_X)):
            low, high = interval(length, random_below(length, mix(seed, epoch, stream), rows), half)
            sides += [low, high]
            replaced = replaced * (high - low).long()
        return torch.stack([*sides, 1 - replaced / (height * width)])


def interval(length: int, centre: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Return where a box begins and ends along a side: `⌊length · half⌋` each way from the centre, cut at the edge."""
    reach = (length * half).floor()
    return (centre - reach).clamp_min(0), (centre + reach).clamp_max(length)


def covered(length: int, low: Tensor, high: Tensor) -> Tensor:
    """Mark the places `(length,)` from `low` on and below `high`."""
    places = torch.arange(length, device=low.device)
    return (places >= low) & (places < high)


def soft_targets(targets: Tensor, num_classes: int) -> Tensor:
    """Convert targets so that they can be mixed: class numbers `(B,)` to `(B, num_classes)`, others to floating point.

    Example:
        >>> soft_targets(torch.tensor([1, 0]), num_classes=2)
        tensor([[0., 1.],
                [1., 0.]])
    """
    if targets.ndim == 1 and not targets.is_floating_point():
        return F.one_hot(targets, num_classes).float()
    return targets.float()
