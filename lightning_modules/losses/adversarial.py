"""Losses of a GAN on logits: each is a pair of terms, one for the discriminator and one for the generator."""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from foundation.argument_checks import require_between
from lightning_modules.losses.reduction import as_float32, logits_as_float32, reduce


class AdversarialLoss(nn.Module, ABC):
    """Base class of a pair of losses; D(real) and D(fake) are the discriminator's logits."""

    boundary: float = 0.0
    """Logit above which the discriminator classifies an image as real."""

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the discriminator's loss: its term for the real logits plus its term for the fake ones."""

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """Return the generator's loss from the logits of its images."""

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the discriminator's loss of a batch of logits `(B,)`; the target `(B,)` is true for real images."""
        real = target.bool()
        return self.discriminator(output[real], output[~real])


class NonSaturatingLoss(AdversarialLoss):
    r"""Cross-entropy: discriminator −log σ(D(real)) − log(1 − σ(D(fake))), generator −log σ(D(fake)).

    The generator does not maximise the discriminator's −log(1 − σ(D(fake))), whose gradient vanishes while its
    images are bad.

    Args:
        real_label: Target of real images, in [½, 1]; below 1 (one-sided label smoothing) the discriminator is less
            certain.

    Shape:
        Logits of any shape → `()`.

    Raises:
        ValueError: A real_label outside [½, 1].

    Example:
        >>> import torch
        >>> pair = NonSaturatingLoss()
        >>> pair.discriminator(torch.zeros(4), torch.zeros(4)), pair.generator(torch.zeros(4))
        (tensor(1.3863), tensor(0.6931))

    Reference:
        Goodfellow et al.: Generative adversarial networks, 2014. One-sided smoothing: Salimans et al., 2016.
    """

    def __init__(self, real_label: float = 1.0) -> None:
        super().__init__()
        require_between("real_label", real_label, 0.5, 1)
        self.real_label = real_label

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return −q log σ(real) − (1 − q) log(1 − σ(real)) − log(1 − σ(fake)), q the real label."""
        logits = logits_as_float32(real)
        real_term = F.softplus(-logits) + (1 - self.real_label) * logits
        return reduce(real_term, "mean") + reduce(F.softplus(logits_as_float32(fake)), "mean")

    def generator(self, fake: Tensor) -> Tensor:
        """Return −log σ(fake)."""
        return reduce(F.softplus(-logits_as_float32(fake)), "mean")


class LeastSquaresLoss(AdversarialLoss):
    r"""Least squares: discriminator ½(D(real) − 1)² + ½D(fake)², generator ½(D(fake) − 1)².

    Shape:
        Logits of any shape → `()`.

    Example:
        >>> import torch
        >>> LeastSquaresLoss().discriminator(torch.zeros(4), torch.ones(4))
        tensor(1.)

    Reference:
        Mao et al.: Least squares generative adversarial networks, 2017 (a = 0, b = c = 1).
    """

    boundary = 0.5  # half way between the targets of generated and real images

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return ½(real − 1)² + ½fake²."""
        return self.generator(real) + reduce(as_float32(fake).square() / 2, "mean")

    def generator(self, fake: Tensor) -> Tensor:
        """Return ½(fake − 1)²."""
        return reduce((as_float32(fake) - 1).square() / 2, "mean")


class HingeAdversarialLoss(AdversarialLoss):
    r"""Hinge: discriminator max(0, 1 − D(real)) + max(0, 1 + D(fake)), generator −D(fake).

    Shape:
        Logits of any shape → `()`.

    Example:
        >>> import torch
        >>> HingeAdversarialLoss().discriminator(torch.zeros(4), torch.zeros(4))
        tensor(2.)

    Reference:
        Lim, Ye: Geometric GAN, 2017; Miyato et al.: Spectral normalization for generative adversarial networks, 2018.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return max(0, 1 − real) + max(0, 1 + fake)."""
        real_term = reduce(F.relu(1 - logits_as_float32(real)), "mean")
        return real_term + reduce(F.relu(1 + logits_as_float32(fake)), "mean")

    def generator(self, fake: Tensor) -> Tensor:
        """Return −fake, which is unbounded below; only training the discriminator limits it."""
        return reduce(-logits_as_float32(fake), "mean")
