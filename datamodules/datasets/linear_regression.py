"""Generated linear regression data, with outliers or heavy-tailed noise on request."""

from typing import Any, Literal

import torch
from torch import Tensor

from datamodules.memory.table import NumberTable, Table
from foundation.argument_checks import require_between, require_choice


class LinearRegressionDataModule(NumberTable):
    r"""Inputs x of 10 standard normal numbers, targets y = x·w + noise with standard normal weights w.

    By default 800 rows are for training and 200 for validation. Another 250 rows with the same weights, but without
    outliers or heavy tails, are the test set.

    Args:
        rows: Rows for training and validation, ≥ 10; the test set has a quarter as many.
        noise: Standard deviation of the noise, ≥ 0.
        disturbance: What disturbs the targets further: ``none``; ``outliers``: ``share`` of them are shifted by ± 10 to
            20; ``heavy_tails``: the noise has Student's t distribution with 2 degrees of freedom.
        share: Share of outliers, in [0, 1].
        data_seed: Seed of weights, inputs and noise, ≥ 0.
        val_share: Share of the rows that is used for validation, in (0, 1).
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> data = LinearRegressionDataModule(batch_size=800)
        >>> data.setup("fit")
        >>> len(data.train_set), len(data.val_set)
        (800, 200)
    """

    channels = 10

    def __init__(
        self,
        rows: int = 1000,
        noise: float = 0.1,
        disturbance: Literal["none", "outliers", "heavy_tails"] = "none",
        share: float = 0.05,
        data_seed: int = 42,
        val_share: float = 0.2,
        **kwargs: Any,
    ) -> None:
        super().__init__(val_share=val_share, **kwargs)
        require_between("rows", rows, 10)
        require_between("noise", noise, 0)
        require_between("data_seed", data_seed, 0)
        require_between("share", share, 0, 1)
        require_choice("disturbance", disturbance, ("none", "outliers", "heavy_tails"))
        self.row_count, self.noise, self.share, self.data_seed = rows, noise, share, data_seed
        self.disturbance = disturbance

    def table(self) -> Table:
        """Return the rows for training and validation, followed by a quarter as many for the test."""
        generator = torch.Generator().manual_seed(self.data_seed)
        count = self.row_count + self.row_count // 4
        inputs = torch.randn(count, self.channels, generator=generator)
        weights = torch.randn(self.channels, generator=generator)
        disturbed = self._noise(self.row_count, generator)
        plain = self.noise * torch.randn(count - self.row_count, generator=generator)
        return Table(inputs, inputs @ weights + torch.cat([disturbed, plain]))

    def _noise(self, count: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(count, generator=generator)
        if self.disturbance == "heavy_tails":  # t with 2 degrees of freedom: a normal over √(χ²₂ / 2), an exponential
            noise = noise / torch.rand(count, generator=generator).clamp_min(1e-6).log().neg().sqrt()
        noise = self.noise * noise
        if self.disturbance == "outliers":
            shift = 10 + 10 * torch.rand(count, generator=generator)
            shift = shift * (2 * torch.randint(2, (count,), generator=generator) - 1)
            noise = noise + shift * (torch.rand(count, generator=generator) < self.share)
        return noise

    def split_off_test(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first rows, and the rows after them for the test."""
        rows = torch.arange(len(targets))
        return rows[: self.row_count], rows[self.row_count :]
