"""Means over the samples of an epoch, summed on the device."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class EpochMeans:
    r"""Means over *samples* of what each batch measures, without asking the host.

    A batch $b$ of $n_b$ samples with batch means $m_b$ contributes $n_b m_b$, so that

    $$\bar m = \frac{\sum_b n_b m_b}{\sum_b n_b}$$

    which the mean of batch means is not, as soon as the last batch is smaller.

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

    def update(self, count: int, **means: Tensor) -> None:
        """Add a batch.

        Args:
            count: Number of samples in the batch, ≥ 0.
            **means: Means over the batch, each of shape `()`. A batch of no samples adds nothing, whatever its means.
        """
        if count == 0:
            return
        self.count += count
        for name, mean in means.items():
            if name not in self.sums:
                dtype = torch.float32 if mean.device.type == "mps" else torch.float64
                self.sums[name] = torch.zeros((), dtype=dtype, device=mean.device)
            self.sums[name].add_(mean.detach(), alpha=count)

    def compute(self, reduce: Callable[[Tensor], Tensor] | None = None) -> dict[str, Tensor]:
        """Mean of each quantity over all samples so far, as float32 tensors; empty before the first update.

        Args:
            reduce: Sums a tensor over processes, where there are several.
        """
        if not self.sums:
            return {}
        names = sorted(self.sums)
        stacked = torch.stack([*(self.sums[name] for name in names), self.sums[names[0]].new_tensor(float(self.count))])
        if reduce is not None:
            stacked = reduce(stacked)
        means = (stacked[:-1] / stacked[-1]).float()
        return dict(zip(names, means.unbind(), strict=True))

    def reset(self) -> None:
        """Forget everything."""
        self.count = 0
        self.sums = {}

    def state_dict(self, reduce: Callable[[Tensor], Tensor] | None = None) -> dict[str, Any]:
        """What a checkpoint needs to go on in the middle of an epoch.

        Args:
            reduce: Sums a tensor over processes, where there are several; then all of them have to call this, with the
                same quantities measured, and one of them alone takes the sums over again.
        """
        count, sums = self.count, {name: value.clone() for name, value in self.sums.items()}
        if reduce is not None and sums:
            names = sorted(sums)
            stacked = torch.stack([*(sums[name] for name in names), sums[names[0]].new_tensor(float(count))])
            *totals, samples = reduce(stacked).unbind()
            count, sums = int(samples), dict(zip(names, totals, strict=True))
        return {"count": count, "sums": sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.count = state["count"]
        self.sums = {name: value.clone() for name, value in state["sums"].items()}
