"""Means over the samples of an epoch, accumulated on the device."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from foundation.hardware import widest_float

Reduce = Callable[[Tensor], Tensor]
"""Sums a tensor over the processes."""


class EpochMeans:
    r"""Accumulate means over *samples* from the means of batches, without synchronising with the device.

    A batch $b$ of $n_b$ samples with mean $m_b$ contributes $n_b m_b$:

    $$\bar m = \frac{\sum_b n_b m_b}{\sum_b n_b}$$

    The plain mean of batch means would give a smaller last batch too much weight.

    Sums are kept in float64 (float32 on MPS, which has no float64); nothing leaves the device before `compute`.

    Example:
        >>> means = EpochMeans()
        >>> means.update(3, loss=torch.tensor(1.0))
        >>> means.update(1, loss=torch.tensor(5.0))
        >>> means.compute()["loss"].item()
        2.0
    """

    def __init__(self) -> None:
        self.count = 0
        self.sums: dict[str, Tensor] = {}
        self._loaded = False  # whether the sums come from a checkpoint, which is read into the host's memory

    def update(self, count: int, **means: Tensor) -> None:
        """Add a batch.

        Args:
            count: Number of samples in the batch, ≥ 0. A batch without samples adds nothing, whatever its means.
            **means: Means over the batch, each of shape `()`.
        """
        if count == 0:
            return
        self.count += count
        if self._loaded and means:
            device = next(iter(means.values())).device
            self.sums = {name: total.to(widest_float(device)).to(device) for name, total in self.sums.items()}
            self._loaded = False
        for name, mean in means.items():
            if name not in self.sums:
                self.sums[name] = torch.zeros((), dtype=widest_float(mean.device), device=mean.device)
            self.sums[name].add_(mean.detach(), alpha=count)

    def compute(self, reduce: Reduce | None = None) -> dict[str, Tensor]:
        """Return the mean of each quantity over all samples so far, in float32; empty before the first update.

        Args:
            reduce: Sums a tensor over the processes; needed where there are several.
        """
        if not self.sums:
            return {}
        sums = self._stacked(reduce)
        return dict(zip(sorted(self.sums), (sums[:-1] / sums[-1]).float().unbind(), strict=True))

    def reset(self) -> None:
        """Forget all batches."""
        self.count = 0
        self.sums = {}
        self._loaded = False

    def state_dict(self, reduce: Reduce | None = None) -> dict[str, Any]:
        """Return what a checkpoint needs to resume in the middle of an epoch.

        Args:
            reduce: Sums a tensor over the processes, where there are several. All of them must call this with the
                same quantities; on resume only one of them may load the state.
        """
        if reduce is None or not self.sums:
            return {"count": self.count, "sums": {name: value.clone() for name, value in self.sums.items()}}
        *sums, count = self._stacked(reduce).unbind()
        return {"count": int(count), "sums": dict(zip(sorted(self.sums), sums, strict=True))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state of `state_dict`, on any device: the next batch moves it to its own."""
        self.count = state["count"]
        self.sums = {name: value.clone() for name, value in state["sums"].items()}
        self._loaded = True

    def _stacked(self, reduce: Reduce | None) -> Tensor:
        """Return the sums in the order of their names, then the number of samples, over all processes."""
        sums = [self.sums[name] for name in sorted(self.sums)]
        stacked = torch.stack([*sums, sums[0].new_full((), float(self.count))])
        return stacked if reduce is None else reduce(stacked)
