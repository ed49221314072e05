"""The lesson's linear regression, drawn from a seed, with outliers or heavy tails on request."""

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from datamodules.memory.table import NumberTable, Table


class LinearRegressionDataModule(NumberTable):
    r"""Inputs x of 10 standard normal numbers, targets y = x·w + noise with standard normal weights w.

    Of 1,000 rows 800 train, 200 validate, as in the lesson; further rows of the same weights, without disturbance, are
    the test set.

    Args:
        rows: For training and validation, ≥ 10.
        noise: Standard deviation of the noise, ≥ 0.
        disturbance: What else is wrong with the targets: ``none``; ``outliers``: ``share`` of them are off by ± 10 to
            20; ``heavy_tails``: the noise has Student's t distribution with 2 degrees of freedom.
        share: Of outliers, in [0, 1].
        data_seed: ≥ 0; draws weights, inputs and noise.
        val_share: In (0, 1).
        kwargs: See :class:`~datamodules.memory.data_module.ImageDataModule`.

    Raises:
        ValueError: If an argument is outside its range.

    Example:
        >>> data = LinearRegressionDataModule(batch_size=800)
        >>> data.setup("fit")
        >>> len(data.train_set), len(data.val_set)
        (800, 200)
    """

    channels: ClassVar[int] = 10  # type: ignore[misc]

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
        for name, value, least in (("rows", rows, 10), ("noise", noise, 0), ("data_seed", data_seed, 0)):
            if not value >= least:
                raise ValueError(f"{name} must be ≥ {least}, got {value}.")
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], got {share:g}.")
        if disturbance not in ("none", "outliers", "heavy_tails"):
            raise ValueError(f"disturbance must be none, outliers or heavy_tails, got {disturbance!r}.")
        self.row_count, self.noise, self.share, self.data_seed = rows, noise, share, data_seed
        self.disturbance = disturbance

    def table(self) -> Table:
        """Training and validation rows, then a quarter as many for the test."""
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
            off = 10 + 10 * torch.rand(count, generator=generator)
            off = off * (2 * torch.randint(2, (count,), generator=generator) - 1)
            noise = noise + off * (torch.rand(count, generator=generator) < self.share)
        return noise

    def _rows_apart(self, targets: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
        if len(targets) > self.row_count:  # all rows: the test rows are the last ones
            numbers = torch.arange(len(targets))
            return numbers[: self.row_count], numbers[self.row_count :]
        return super()._rows_apart(targets, share, seed)
