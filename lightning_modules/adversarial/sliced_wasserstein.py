"""Sliced Wasserstein distance: a cheap distance between two sets of images."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from foundation.argument_checks import require_between
from foundation.hardware import on_device

_SEED = 0  # the same directions in every run, so that runs can be compared


class SlicedWasserstein(Metric):
    r"""Sliced Wasserstein-1 distance of real and generated images.

    Each image $x$ is projected to a number $\langle\theta, x\rangle$ on each of $K$ random directions of length 1; on
    each the distance of two sets of the same size is the mean difference of their sorted projections:

    $$\frac1K \sum_k \frac1n \sum_i \lvert \langle\theta_k, x\rangle_{(i)} - \langle\theta_k, y\rangle_{(i)} \rvert$$

    It is 0 for equal sets, and about $c / \sqrt n$ for two samples of the same distribution. It detects differences in
    brightness, colour, coarse shape and their spread, hence a collapse to a few images. It does not detect blur, as
    measures on the features of a trained network do.

    Args:
        directions: Number of directions $K$, ≥ 1.

    Shape:
        Two batches `(B, …)` of the same size → `()`.

    Raises:
        ValueError: directions is below 1.

    Example:
        >>> distance = SlicedWasserstein(directions=8)
        >>> distance.update(torch.zeros(4, 1, 2, 2), torch.zeros(4, 1, 2, 2))
        >>> distance.compute()
        tensor(0.)

    Reference:
        Bonneel, Rabin, Peyré, Pfister: Sliced and Radon Wasserstein barycenters of measures, 2015.
    """

    full_state_update = False
    higher_is_better = False
    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, directions: int = 128) -> None:
        super().__init__()
        require_between("directions", directions, 1)
        self.directions = directions
        self.theta = torch.empty(0)
        self.add_state("real", default=[], dist_reduce_fx="cat")
        self.add_state("fake", default=[], dist_reduce_fx="cat")

    def update(self, real: Tensor, fake: Tensor) -> None:
        """Project a batch of real images and as many generated ones."""
        self.real.append(self._project(real))
        self.fake.append(self._project(fake))

    def _project(self, images: Tensor) -> Tensor:
        flat = images.detach().float().flatten(1)
        if self.theta.shape[:1] != flat.shape[1:] or self.theta.device != flat.device:
            seeded = torch.Generator().manual_seed(_SEED)
            numbers = torch.randn(flat.shape[1], self.directions, generator=seeded, dtype=torch.float32)
            self.theta = on_device(numbers / numbers.norm(dim=0), flat.device)
        return flat @ self.theta

    def compute(self) -> Tensor:
        """Return the distance over all batches."""
        real, fake = dim_zero_cat(self.real), dim_zero_cat(self.fake)
        return (real.sort(dim=0).values - fake.sort(dim=0).values).abs().mean()
