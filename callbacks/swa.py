"""Stochastic weight averaging (SWA): the mean of the weights over the end of a run."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer

from callbacks.ema import EMA
from foundation.argument_checks import require_fraction
from lightning_modules.schedulers.run_length import RunLength


class SWA(EMA):
    r"""Average the weights over the end of a run; validation, checkpoints and the weights after the fit are the mean.

    The mean of the weights after $n$ updates is

    $$\bar\theta_n = \frac{1}{n} \sum_{i=1}^{n} \theta_i$$

    Until the average starts, validation and checkpoints have the plain weights. The schedule is the run's: choose one
    that does not end at 0, such as `schedulers/constant.yaml`, or the weights that are averaged hardly differ.

    Args:
        start: Share of the run, in (0, 1), after which the average starts.
        update_every_n_steps: Optimizer steps between two updates, ≥ 1.
        use_buffers: Whether to average floating-point buffers, such as the statistics of batch norm; False copies them.

    Raises:
        ValueError: An argument is outside its range.
        UserError: The run has no known end, or the strategy shards the weights.

    Example:
        >>> [round(SWA().decay_at(update), 3) for update in range(4)]
        [0.0, 0.5, 0.667, 0.75]

    Reference:
        Izmailov et al.: Averaging weights leads to wider optima and better generalization, 2018. There the statistics
        of batch norm are computed anew at the end; here they are averaged.
    """

    def __init__(self, start: float = 0.75, update_every_n_steps: int = 1, use_buffers: bool = True) -> None:
        require_fraction("start", start)
        super().__init__(update_every_n_steps=update_every_n_steps, use_buffers=use_buffers)
        self.share = start

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the step at which the average starts."""
        self.start = round(self.share * RunLength.from_trainer(trainer).known_steps("SWA"))

    def decay_at(self, update: int) -> float:
        """Return the share of the old mean in the new one, at an update counted from 0."""
        return update / (update + 1)
