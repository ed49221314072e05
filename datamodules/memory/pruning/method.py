"""Dynamic data pruning: each epoch leaves out some samples of low loss, and others stand in for them."""

import math

import torch
from torch import Tensor

from foundation.argument_checks import require_between, require_momentum
from foundation.counter_random import mix

OUT, PLAIN, KEPT, DRAWN = 0, 1, 2, 3
"""What an epoch does with a sample: leave it out; take it unweighted; keep it for its loss; draw it at random."""

_CHOICE, _CYCLE = 20, 21  # random streams: one number for each kind of choice


class Pruning:
    r"""Leave out a share of the samples in each epoch, without changing the expected gradient.

    Of N samples an epoch has M = N − D, with D = round(ratio · N), in three phases:

    - first (``warmup``) and last (``annealing``), every sample in turn, each equally often, as in an ordinary run;
    - between them, D of the C = round((1 + ratio) · N / 2) samples of lowest loss are left out, uniformly at random.
      The loss of a sample is that of the last step that it was in; samples that were in none yet have the highest.

    The samples that were drawn count C / (C − D) times as much as those that are always kept, and all weights are
    scaled so that the expected gradient of a batch is the mean over all N samples:

    $$w = \frac{M}{N} \cdot \begin{cases} C / (C - D) & \text{among the } C \text{ of lowest loss} \\ 1 &
    \text{else} \end{cases}$$

    An epoch is shorter by ``ratio``, and so is the run: schedules, validation and progress count the steps that are
    made.

    Args:
        ratio: Share of the samples that an epoch leaves out, in [0, 1); 0 is an ordinary run.
        warmup: Share of the run at the beginning that takes every sample in turn, in [0, 1].
        annealing: The same at the end, in [0, 1]; together at most 1.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> pruning = Pruning(ratio=0.5)
        >>> pruning.kept(100), pruning.candidates(100), pruning.weights(100).tolist()
        (50, 75, [0.0, 1.0, 0.5, 1.5])

    Reference:
        Qin, Wang, Zheng et al.: InfoBatch: lossless training speed up by unbiased dynamic data pruning, ICLR 2024. It
        prunes below the mean loss, so that its epochs differ in length, and its weights average N / M instead of 1.
    """

    def __init__(self, ratio: float = 0.3, warmup: float = 0.1, annealing: float = 0.125) -> None:
        require_momentum("ratio", ratio)
        require_between("warmup", warmup, 0, 1)
        require_between("annealing", annealing, 0, 1)
        if warmup + annealing > 1:
            raise ValueError(f"warmup and annealing must be at most 1 together, got {warmup} and {annealing}.")
        self.ratio, self.warmup, self.annealing = ratio, warmup, annealing

    def kept(self, samples: int) -> int:
        """Return M, the number of samples in an epoch, ≥ 1."""
        return max(samples - round(self.ratio * samples), 1)

    def candidates(self, samples: int) -> int:
        """Return C, the number of samples of low loss, of which some are left out."""
        left_out = samples - self.kept(samples)
        return min(max(round((1 + self.ratio) * samples / 2), left_out + 1), samples)

    def weights(self, samples: int) -> Tensor:
        """Return the weight of a sample for each of ``OUT``, ``PLAIN``, ``KEPT`` and ``DRAWN``, float32 ``(4,)``."""
        kept, candidates = self.kept(samples), self.candidates(samples)
        share = kept / samples
        return torch.tensor([0.0, 1.0, share, share * candidates / (candidates - samples + kept)])

    def phases(self, epochs: float | None) -> tuple[int, float]:
        """Return the first epoch that is pruned, and the first one that is not any more.

        Args:
            epochs: Length of the run; None if it has no known end, which only a run without phases may have.
        """
        if epochs is None:
            return 0, math.inf
        return round(self.warmup * epochs), math.ceil(epochs) - math.ceil(self.annealing * epochs)

    def choose(self, losses: Tensor, seed: int, epoch: int) -> Tensor:
        """Choose the samples of a pruned epoch.

        Args:
            losses: Of all samples ``(N,)``, on the host; infinite where unknown.
            seed: Seed of the run.
            epoch: From 0.

        Returns:
            int8 ``(N,)``: ``OUT``, ``KEPT`` or ``DRAWN``. It is a function of the arguments.
        """
        samples = len(losses)
        generator = torch.Generator().manual_seed(mix(seed, epoch, _CHOICE))
        ties = torch.randperm(samples, generator=generator)
        lowest = ties[losses[ties].argsort(stable=True)][: self.candidates(samples)]
        out = lowest[torch.randperm(len(lowest), generator=generator)[: samples - self.kept(samples)]]
        choice = torch.full((samples,), KEPT, dtype=torch.int8)
        choice[lowest] = DRAWN
        choice[out] = OUT
        return choice

    def in_turn(self, samples: int, seed: int, epoch: int) -> Tensor:
        """Choose the samples of an epoch that is not pruned: the next M of a circle of all, int8 ``(N,)``."""
        kept = self.kept(samples)
        circle = torch.randperm(samples, generator=torch.Generator().manual_seed(mix(seed, _CYCLE)))
        choice = torch.full((samples,), OUT, dtype=torch.int8)
        choice[circle[(torch.arange(kept) + epoch * kept) % samples]] = PLAIN
        return choice
