"""Exponential moving average (EMA) of the weights."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from foundation.argument_checks import require_at_least_one, require_between, require_momentum
from foundation.errors import UserError

TRAINED = "current_model_state"
COUNT = "averaging_state"
"""Keys of a checkpoint, those of Lightning's `WeightAveraging`: the trained weights, and the number of updates."""

LAG, EARLIER_LAG = 36, 9
"""Share of the updates that the average covers during the warm-up: one in so many; that of earlier versions."""


class EMA(Callback):
    r"""Average the weights exponentially; validation, checkpoints and the weights after the fit are the average.

    After the first update the average $\bar\theta$ is the weights $\theta$. Update $t = 1, 2, …$ after it is

    $$\bar\theta \leftarrow \beta_t \bar\theta + (1 - \beta_t)\, \theta, \qquad
    \beta_t = \min\!\left(\beta, \frac{1 + t}{37 + t}\right)$$

    A constant $\beta$ keeps the first weights with a share of $\beta^t$: with 0.999 they are 37 % of the average after
    1,000 updates. With the warm-up the average covers about the last 36th of the updates so far, until
    $1 / (1 - \beta)$ updates are less than that: while a network improves quickly, a longer average is worse than the
    weights.

    Floating-point buffers, such as the statistics of batch norm, are averaged too; others are copied. An update makes
    one pass over the weights and reads nothing from the device. A checkpoint also holds the weights that are trained
    (`current_model_state`), so that a resume gives identical results, also one that was saved during a validation.

    Args:
        decay: $\beta$ in [0, 1): the average covers about the last $1 / (1 - \beta)$ updates.
        warmup: Whether the decay grows as above; False is a constant $\beta$.
        update_every_n_steps: Optimizer steps between two updates, ≥ 1.
        update_starting_at_step: Optimizer step before which nothing is averaged, ≥ 0; validation uses the plain weights
            until then.
        use_buffers: Whether to average buffers; False copies them.

    Raises:
        ValueError: An argument is outside its range.
        UserError: The strategy shards the weights.

    Reference:
        The warm-up is that of TensorFlow's `ExponentialMovingAverage`, with 36 in place of 9; an average over a
        constant share of the run so far is the power-function profile of Karras et al.: Analyzing and improving the
        training dynamics of diffusion models, 2024.
    """

    def __init__(
        self,
        decay: float = 0.999,
        warmup: bool = True,
        update_every_n_steps: int = 1,
        update_starting_at_step: int = 0,
        use_buffers: bool = True,
    ) -> None:
        require_momentum("decay", decay)
        require_at_least_one(update_every_n_steps=update_every_n_steps)
        require_between("update_starting_at_step", update_starting_at_step, 0)
        self.decay, self.warmup, self.use_buffers = decay, warmup, use_buffers
        self.every, self.start = update_every_n_steps, update_starting_at_step
        self._begin()

    def _begin(self) -> None:
        self.stored: dict[str, Tensor] = {}  # the average; while it is in the module, the weights that are trained
        self.swapped = False
        self.updates = self.latest_step = 0
        self.lag = LAG if self.warmup else None
        self.saved: frozenset[str] = frozenset()  # names of the tensors that a checkpoint holds

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin a new average."""
        if stage != "fit":
            return
        self._begin()
        if isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy)):
            raise UserError(
                f"EMA averages whole weights, which {type(trainer.strategy).__name__} shards: remove the callback, or "
                "use --trainer.strategy ddp."
            )

    # -- updates -------------------------------------------------------------------------------------------------------

    def decay_at(self, update: int) -> float:
        """Return the decay of an update, counted from 0, in which the average becomes the weights.

        Example:
            >>> [round(EMA(0.99).decay_at(t), 3) for t in (0, 1, 10, 100, 1000)]
            [0.0, 0.053, 0.234, 0.737, 0.965]
        """
        if update == 0:
            return 0.0
        return self.decay if self.lag is None else min(self.decay, (1 + update) / (1 + self.lag + update))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average after an optimizer step."""
        step = trainer.global_step
        if step > self.latest_step and step > self.start and (step - 1) % self.every == 0:
            self.update(pl_module)
            self.latest_step = step

    @torch.no_grad()
    def update(self, module: LightningModule) -> None:
        """Add the weights of a module to the average."""
        current = self._tensors_of(module)
        if not self.stored:
            self.stored = {name: tensor.detach().clone() for name, tensor in current.items()}
        else:
            self._to_devices_of(current)
            self._average(module, current, get_ema_multi_avg_fn(self.decay_at(self.updates)))
        self.updates += 1

    def _average(self, module: LightningModule, current: dict[str, Tensor], average: Any) -> None:
        parameters = {name for name, _ in module.named_parameters()}
        kinds: dict[tuple[torch.device, torch.dtype], list[str]] = {}
        for name, tensor in current.items():
            if tensor.is_floating_point() and (self.use_buffers or name in parameters):
                kinds.setdefault((tensor.device, tensor.dtype), []).append(name)
            else:
                self.stored[name].copy_(tensor)
        for names in kinds.values():
            average([self.stored[name] for name in names], [current[name].detach() for name in names], None)

    # -- swaps ---------------------------------------------------------------------------------------------------------

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Validate the average."""
        if trainer.state.fn == TrainerFn.FITTING and not self.swapped:
            self._swap(pl_module)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue with the weights that are trained."""
        if trainer.state.fn == TrainerFn.FITTING and self.swapped:
            self._swap(pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the module."""
        if not self.swapped:
            self._swap(pl_module)

    @torch.no_grad()
    def _swap(self, module: LightningModule) -> None:
        if not self.stored:
            return
        current = self._tensors_of(module)
        self._to_devices_of(current)
        for name, tensor in current.items():
            other = self.stored[name].clone()
            self.stored[name].copy_(tensor)
            tensor.copy_(other)
        self.swapped = not self.swapped

    def _tensors_of(self, module: LightningModule) -> dict[str, Tensor]:
        """Return the parameters and buffers that a checkpoint holds, by name."""
        self.saved = self.saved or frozenset(module.state_dict())
        tensors = chain(module.named_parameters(), module.named_buffers())
        return {name: tensor for name, tensor in tensors if name in self.saved}

    def _to_devices_of(self, current: dict[str, Tensor]) -> None:
        """Follow the module, which Lightning moves to its device after it has loaded a checkpoint."""
        for name, tensor in current.items():
            if self.stored[name].device != tensor.device:
                self.stored[name] = self.stored[name].to(tensor.device)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the counts."""
        return {"updates": self.updates, "latest_update_step": self.latest_step, "warmup": self.lag or False}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the counts, and how the run warms up; one that an earlier version began stays as it was."""
        self.updates, self.latest_step = state_dict["updates"], state_dict["latest_update_step"]
        warmup = state_dict["warmup"]
        self.lag = EARLIER_LAG if warmup is True else warmup or None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as the weights, and the weights that are trained beside it."""
        if not self.stored:
            return
        here = checkpoint["state_dict"]
        other = {name: self.stored.get(name, value) for name, value in here.items()}
        checkpoint["state_dict"], checkpoint[TRAINED] = (here, other) if self.swapped else (other, here)
        checkpoint[COUNT] = {"n_averaged": torch.tensor(self.updates)}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore both, if a fit is resumed."""
        if trainer.state.fn != TrainerFn.FITTING or TRAINED not in checkpoint:
            return
        average = checkpoint["state_dict"]
        self.stored = {name: average[name].clone() for name in self._tensors_of(pl_module)}
        pl_module.load_state_dict(checkpoint[TRAINED])
        if self.state_key not in checkpoint.get("callbacks", {}):
            self.updates, self.latest_step = int(checkpoint[COUNT]["n_averaged"]), checkpoint["global_step"]
            self.lag = None
            rank_zero_info(
                f"EMA: the checkpoint's average is of another callback: it continues with a constant {self.decay:g}."
            )
