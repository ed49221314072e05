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


class _SumOfTerms(AdversarialLoss):
    """Base class of losses whose discriminator has a mean over real logits plus one over fake logits."""

    @abstractmethod
    def real_term(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss of each real logit."""

    @abstractmethod
    def fake_term(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss of each fake logit."""

    def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        """Return the mean over the real logits plus the mean over the fake ones."""
        return reduce(self.real_term(real), "mean") + reduce(self.fake_term(fake), "mean")

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the discriminator's loss; without indexing, whose shapes depend on values, as compilers need it."""
        real = target.bool()
        real_sum = reduce(self.real_term(output).where(real, 0), "mean", real.sum())
        return real_sum + reduce(self.fake_term(output).where(~real, 0), "mean", (~real).sum())


class NonSaturatingLoss(_SumOfTerms):
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

    def real_term(self, logits: Tensor) -> Tensor:
        """Return −q log σ(logits) − (1 − q) log(1 − σ(logits)), q the real label."""
        logits = logits_as_float32(logits)
        return F.softplus(-logits) + (1 - self.real_label) * logits

    def fake_term(self, logits: Tensor) -> Tensor:
        """Return −log(1 − σ(logits))."""
        return F.softplus(logits_as_float32(logits))

    def generator(self, fake: Tensor) -> Tensor:
        """Return −log σ(fake)."""
        return reduce(F.softplus(-logits_as_float32(fake)), "mean")


class LeastSquaresLoss(_SumOfTerms):
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

    def real_term(self, logits: Tensor) -> Tensor:
        """Return ½(logits − 1)²."""
        return (as_float32(logits) - 1).square() / 2

    def fake_term(self, logits: Tensor) -> Tensor:
        """Return ½ logits²."""
        return as_float32(logits).square() / 2

    def generator(self, fake: Tensor) -> Tensor:
        """Return ½(fake − 1)²."""
        return reduce(self.real_term(fake), "mean")


class HingeAdversarialLoss(_SumOfTerms):
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

    def real_term(self, logits: Tensor) -> Tensor:
        """Return max(0, 1 − logits)."""
        return F.relu(1 - logits_as_float32(logits))

    def fake_term(self, logits: Tensor) -> Tensor:
        """Return max(0, 1 + logits)."""
        return F.relu(1 + logits_as_float32(logits))

    def generator(self, fake: Tensor) -> Tensor:
        """Return −fake, which is unbounded below; only training the discriminator limits it."""
        return reduce(-logits_as_float32(fake), "mean")
