"""Stop a run whose processes are not one run any more."""

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor

from callbacks.distributed.agreement import let_end
from callbacks.distributed.rank_facts import bits_of_rate, bits_of_weights, differences, facts_of
from foundation.errors import RanksDisagreeError, check_ranks_agree


class RankGuard(Callback):
    """Stop when the processes of a run disagree. With one process it does nothing.

    | when | what must be the same |
    | --- | --- |
    | at the start | config, data, network, checkpoint, versions |
    | every `every_n_steps` optimizer steps | learning rates; with DDP every bit of the weights |
    | after each validation and epoch | the logged values that checkpoints, early stopping and plateaus follow |

    The weights' bits are summed on the device, a tensor each; the comparison runs in the background and is read one
    batch later, so that no step waits for it.

    Args:
        every_n_steps: ≥ 1; `None`: learning rates and weights are not compared.

    Raises:
        ValueError: `every_n_steps` is below 1.
        RanksDisagreeError: They do.
    """

    def __init__(self, every_n_steps: int | None = 100) -> None:
        if every_n_steps is not None and every_n_steps < 1:
            raise ValueError(f"every_n_steps must be ≥ 1 or null, got {every_n_steps}.")
        self.every_n_steps = every_n_steps
        self.config: dict[str, Any] = {}
        """More that must be the same: what the command line was given, by key."""
        self.asked = -1
        self.pending: tuple[Any, Tensor, Tensor] | None = None

    # -- at the start --------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare what the processes were given; before anything that would wait for ever if it differs."""
        self.pending, self.asked = None, -1
        if trainer.world_size == 1:
            return
        facts: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(facts, facts_of(trainer, pl_module) | self.config)
        found = differences(facts)
        if found:
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            raise RanksDisagreeError(
                f"The processes do not run the same: {'; '.join(found[:3])}{more}. "
                "Start all of them with the same command, config, data and versions."
            )

    # -- every so many steps -------------------------------------------------------------------------------------------

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Begin a comparison."""
        step = trainer.global_step
        if not self.every_n_steps or trainer.world_size == 1 or step == self.asked or step % self.every_n_steps:
            return
        self._answer(trainer, pl_module)
        self.asked = step
        mine = self._bits(trainer, pl_module)
        extremes = torch.cat([mine, -mine])
        self.pending = dist.all_reduce(extremes, dist.ReduceOp.MAX, async_op=True), extremes, mine

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Read the answer."""
        if self.pending is not None:
            self._answer(trainer, pl_module)

    def _bits(self, trainer: Trainer, module: LightningModule) -> Tensor:
        rates = [float(group["lr"]) for optimizer in trainer.optimizers for group in optimizer.param_groups]
        bits = bits_of_rate(rates).to(module.device)
        # Shards differ: only whole copies can be compared.
        return torch.cat([bits, bits_of_weights(module)]) if isinstance(trainer.strategy, DDPStrategy) else bits

    def _answer(self, trainer: Trainer, module: LightningModule) -> None:
        if self.pending is None:
            return
        (work, extremes, mine), self.pending = self.pending, None
        work.wait()
        most, least = extremes.view(2, -1)
        differing = (most != -least).nonzero().flatten().tolist()
        if differing:
            self._refuse(trainer, module, differing, mine)

    def _refuse(self, trainer: Trainer, module: LightningModule, differing: list[int], mine: Tensor) -> None:
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
            f"step {self.asked}: {what}. They were the same at the comparison {self.every_n_steps} steps ago: "
            "look for what one process does and others do not, such as a random or rank-dependent change of weights "
            "or rates. Go on from a checkpoint of an earlier step."
        )

    # -- what is followed ----------------------------------------------------------------------------------------------

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what is followed, before anybody decides by it."""
        self._answer(trainer, pl_module)
        self._compare_followed(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Likewise, for what an epoch of training logs."""
        self._compare_followed(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read the last answer."""
        self._answer(trainer, pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Let a comparison end; nobody reads it."""
        if self.pending is not None:
            let_end(self.pending[0])

    def _compare_followed(self, trainer: Trainer) -> None:
        names = followed(trainer)
        if trainer.world_size == 1 or not names:
            return
        logged = trainer.callback_metrics
        mine = [float(logged.get(name, float("nan"))) for name in names]
        everyone: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(everyone, mine)
        for name, *values in zip(names, *everyone, strict=True):
            check_ranks_agree(name, values, "and decisions follow it")


def followed(trainer: Trainer) -> list[str]:
    """Names of the logged values that callbacks and schedules follow."""
    callbacks = [getattr(callback, "monitor", None) for callback in trainer.callbacks]  # type: ignore[attr-defined]
    schedules = [config.monitor for config in trainer.lr_scheduler_configs]
    return sorted({name for name in [*callbacks, *schedules] if isinstance(name, str)})
