"""Stop a run when its ranks disagree."""

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from callbacks.distributed.async_max import wait_briefly
from callbacks.distributed.fingerprint import differences, float_bits, run_settings, weight_checksums
from foundation.ranks import RanksDisagreeError, check_equal_on_ranks


class RankGuard(Callback):
    """Stop when the ranks of a run disagree. With one process it does nothing.

    | when | what must be equal |
    | --- | --- |
    | at the start | config, data, network, checkpoint, versions |
    | every `every_n_steps` optimizer steps | learning rates; with DDP every bit of the weights |
    | after each validation and epoch | the logged values that callbacks and schedules monitor |

    The bits of each weight tensor are summed on the device; the comparison runs in the background and is read one batch
    later, so that no step waits for it.

    Args:
        every_n_steps: ≥ 1; `None`: do not compare learning rates and weights.

    Raises:
        ValueError: `every_n_steps` is below 1.
        RanksDisagreeError: Something differs.
    """

    def __init__(self, every_n_steps: int | None = 100) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be ≥ 1 or null, got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self.config: dict[str, Any] = {}
        """Further settings that must be equal: those of the command line, by key."""
        self.compared_step = -1
        self.pending: tuple[Any, Tensor, Tensor] | None = None

    # -- settings, at the start ----------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare the settings of the ranks, before a difference could make them wait for each other for ever."""
        self.pending, self.compared_step = None, -1
        if trainer.world_size == 1:
            return
        settings: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(settings, run_settings(trainer, pl_module) | self.config)
        found = differences(settings)
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise RanksDisagreeError(
                f"The processes do not run the same: {'; '.join(found[:3])}{more}. "
                "Start all of them with the same command, config, data and versions."
            )

    # -- weights and rates, every few steps ----------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Start a comparison."""
        step = trainer.global_step
        if not self.every_n_steps or trainer.world_size == 1 or step == self.compared_step or step % self.every_n_steps:
            return
        self._read_comparison(trainer, pl_module)
        self.compared_step = step
        mine = self._checksums(trainer, pl_module)
        extremes = torch.cat([mine, -mine])
        self.pending = dist.all_reduce(extremes, dist.ReduceOp.MAX, async_op=True), extremes, mine

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Read the comparison that the last batch started."""
        if self.pending is not None:
            self._read_comparison(trainer, pl_module)

    def _checksums(self, trainer: Trainer, module: LightningModule) -> Tensor:
        rates = [float(group["lr"]) for optimizer in trainer.optimizers for group in optimizer.param_groups]
        bits = float_bits(rates).to(module.device)
        # Only DDP has a whole copy of the weights on each rank; shards differ.
        return torch.cat([bits, weight_checksums(module)]) if isinstance(trainer.strategy, DDPStrategy) else bits

    def _read_comparison(self, trainer: Trainer, module: LightningModule) -> None:
        if self.pending is None:
            return
        (work, extremes, mine), self.pending = self.pending, None
        work.wait()
        most, least = extremes.view(2, -1)
        differing = (most != -least).nonzero().flatten().tolist()
        if differing:
            self._raise_difference(trainer, module, differing, mine)

    def _raise_difference(self, trainer: Trainer, module: LightningModule, differing: list[int], mine: Tensor) -> None:
        everyone: Any = trainer.strategy.all_gather(mine)
        groups = sum(len(optimizer.param_groups) for optimizer in trainer.optimizers)
        first = differing[0]
        others = [rank for rank, bits in enumerate(everyone) if bits[first] != everyone[0][first]]
        who = f"rank {', '.join(map(str, others))} against rank 0"
        if first < groups:
            rates = [f"{rate:.6g}" for rate in everyone[:, first].cpu().view(torch.float64).tolist()]
            what = f"the learning rate differs between processes: {', '.join(rates)} on ranks 0 to {len(rates) - 1}"
        else:
            names = [name for name, _ in module.named_parameters()]
            what = (
                f"the weights differ between processes in {len(differing)} of {len(names)} tensors, first "
                f"{names[first - groups]}, {who}"
            )
        raise RanksDisagreeError(
            f"step {self.compared_step}: {what}. They were the same at the comparison {self.every_n_steps} steps ago: "
            "look for what one process does and others do not, such as a random or rank-dependent change of weights "
            "or rates. Resume from a checkpoint of an earlier step."
        )

    # -- monitored values ----------------------------------------------------------------------------------------------

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the monitored values before a callback or schedule decides by them."""
        self._read_comparison(trainer, pl_module)
        self._compare_monitored(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the monitored values that the epoch before has logged."""
        self._compare_monitored(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the last comparison."""
        self._read_comparison(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let a running comparison finish; nothing reads it."""
        if self.pending is not None:
            wait_briefly(self.pending[0])

    def _compare_monitored(self, trainer: Trainer) -> None:
        names = monitored(trainer)
        if trainer.world_size == 1 or not names:
            return
        logged = trainer.callback_metrics
        mine = [float(logged.get(name, float("nan"))) for name in names]
        everyone: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(everyone, mine)
        for name, *values in zip(names, *everyone, strict=True):
            check_equal_on_ranks(name, values, "callbacks or schedules monitor it")


def monitored(trainer: Trainer) -> list[str]:
    """Return the names of the logged values that callbacks and schedules monitor."""
    callbacks = [getattr(callback, "monitor", None) for callback in trainer.callbacks]  # type: ignore[attr-defined]
    schedules = [config.monitor for config in trainer.lr_scheduler_configs]
    return sorted({name for name in [*callbacks, *schedules] if isinstance(name, str)})
