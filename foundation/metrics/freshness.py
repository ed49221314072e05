"""When a logged metric was measured: the trainer keeps old values beside new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class MeasuredIn:
    """Remember the epoch in which each metric was measured last.

    `trainer.callback_metrics` keeps the value of an earlier epoch until a new one is measured, which then is another
    tensor. So a value is new if its tensor is.

    Example:
        >>> import torch
        >>> first = torch.tensor(0.5)
        >>> measured = MeasuredIn()
        >>> measured.note({"val/loss": first}, epoch=0)
        >>> measured.note({"val/loss": first, "train/loss": torch.tensor(0.4)}, epoch=1)
        >>> measured.epochs
        {'val/loss': 0, 'train/loss': 1}
    """

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {}
        self._seen: dict[str, Tensor] = {}
        self._loaded: dict[str, float] = {}

    def note(self, metrics: Mapping[str, Tensor], epoch: int) -> None:
        """Assign `epoch` to every value that was measured since the last call."""
        self.epochs |= {name: epoch for name, value in metrics.items() if self._seen.get(name) is not value}
        self._seen = dict(metrics)

    def skip(self, metrics: Mapping[str, Tensor]) -> None:
        """Take every value that there is now for an old one, without assigning an epoch to it."""
        self._seen = dict(metrics)

    def new(self, metrics: Mapping[str, Tensor]) -> list[str]:
        """Return the names of the values that were measured since the last call of `note` or `skip`."""
        return [name for name, value in metrics.items() if self._seen.get(name) is not value]

    @property
    def last_epoch(self) -> int:
        """The newest epoch of any value; -1 before the first."""
        return max(self.epochs.values(), default=-1)

    def older(self) -> dict[str, int]:
        """Return the epochs of the values that were not measured in the newest epoch."""
        return {name: epoch for name, epoch in self.epochs.items() if epoch < self.last_epoch}

    def metadata(self) -> dict[str, dict[str, Any]]:
        """Return the newest value of every metric, and the epoch (from 0) in which it was measured, as numbers."""
        values = self._loaded | {name: float(value) for name, value in self._seen.items()}
        return {"metrics": values, "metric_epochs": dict(self.epochs)}

    def load(self, metadata: Mapping[str, Any]) -> None:
        """Restore what `metadata` returned; checkpoints before this class have no epochs."""
        self._loaded, self._seen = dict(metadata.get("metrics", {})), {}
        self.epochs = dict(metadata.get("metric_epochs", {}))
