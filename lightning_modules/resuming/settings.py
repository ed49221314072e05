"""Apply other settings of optimizers and schedules to a resumed run, or refuse them; never ignore them."""

from __future__ import annotations

import copy
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning, Callback, EarlyStopping
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info

from foundation.compat.lightning_data import forget_training_data
from foundation.errors import UserError
from lightning_modules.resuming.comparison import Change, check_unrecorded, compare
from lightning_modules.resuming.description import SCHEDULED, find, optimizer_record
from lightning_modules.resuming.precision import convert_before_loading
from lightning_modules.resuming.schedules import advance, keep_counts, steps_done

KEY = "optimizers"


class ResumedSettings(Callback):
    """Let the settings of this run decide when a checkpoint is resumed, as they do in a new run.

    Torch restores the options of an optimizer (learning rate, weight decay, …) and the arguments of most schedulers
    with their state, so that new ones would be ignored. Each checkpoint therefore describes optimizers and schedules as
    they were configured. A resumed run compares them with its own:

    | difference | what happens |
    | --- | --- |
    | none | the state is restored as it is: identical results |
    | learning rate, weight decay, betas, momentum, … | applied from this step on; a line says so |
    | another schedule, other arguments, none | from this step on the rate is that of the new schedule at this step |
    | another optimizer, other parameter groups, an option that needs a state of its own | `UserError` |

    A plateau keeps its counts and, with the same learning rate, the reductions so far. Our modules add this callback
    themselves; the command line adds it to all others.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.fresh: list[list[dict[str, Any]]] = []
        self.checkpoint: dict[str, Any] | None = None
        self.changes: list[Change] = []
        self.old_schedules: dict[int, Any] = {}
        self.done: dict[int, int] = {}
        self.patience: list[tuple[EarlyStopping, int]] = []  # which Lightning restores with the callback's counts

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier fit; prepare weights in 64 bit for a checkpoint."""
        self._forget()
        convert_before_loading(trainer, pl_module)

    # -- comparing -----------------------------------------------------------------------------------------------------

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the checkpoint; a strategy that shards has built the optimizers already."""
        if trainer.state.fn == TrainerFn.FITTING:
            stopping = (callback for callback in trainer.callbacks if isinstance(callback, EarlyStopping))  # type: ignore[attr-defined]
            self.patience = [(callback, callback.patience) for callback in stopping]
            self.checkpoint = checkpoint
            if trainer.strategy.restore_checkpoint_after_setup:
                forget_training_data(trainer)
            if self.records:
                self._compare(trainer, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Describe the optimizers, which are built and not restored yet, and compare them with the checkpoint's."""
        self.records = [
            optimizer_record(optimizer, schedule, pl_module)
            for optimizer, schedule in zip(trainer.optimizers, _schedules(trainer, pl_module), strict=True)
        ]
        self.fresh = [
            [{key: copy.copy(value) for key, value in group.items() if key != "params"} for group in o.param_groups]
            for o in trainer.optimizers
        ]
        if self.checkpoint is not None:
            self._compare(trainer, pl_module)

    def _compare(self, trainer: Trainer, module: LightningModule) -> None:
        checkpoint, self.checkpoint = self.checkpoint, None
        states = (checkpoint or {}).get("optimizer_states")
        if checkpoint is None or not states:
            return  # Lightning says that the checkpoint holds only the weights
        out = way_out(trainer, module)
        old = checkpoint.get(KEY)
        if len(states) != len(trainer.optimizers):
            raise UserError(f"The checkpoint has {len(states)} optimizers, this run {len(trainer.optimizers)}. {out}")
        if old is None:
            check_unrecorded(states, trainer.optimizers, out)
            return
        sharded = isinstance(trainer.strategy, FSDPStrategy | ModelParallelStrategy)
        unfreezes = any(isinstance(callback, BaseFinetuning) for callback in trainer.callbacks)  # type: ignore[attr-defined]
        comparable = not sharded and not unfreezes
        self.changes = [compare(was, now, comparable, out) for was, now in zip(old, self.records, strict=True)]
        for index, (change, state) in enumerate(zip(self.changes, states, strict=True)):
            self._set_options(index, change, state["param_groups"])  # torch places the state as some of them say
        self._replace_schedules(trainer, checkpoint, old)

    def _replace_schedules(self, trainer: Trainer, checkpoint: dict[str, Any], old: list[dict[str, Any]]) -> None:
        """Let Lightning restore the state of the schedules that stay, and for the others the state that they have."""
        with_schedule = [index for index, record in enumerate(old) if record["schedule"] is not None]
        self.old_schedules = dict(zip(with_schedule, checkpoint["lr_schedulers"], strict=False))
        if not any(change.rebuilds_schedule for change in self.changes):
            return
        states = []
        for config in trainer.lr_scheduler_configs:
            index = _index(trainer, config.scheduler)
            self.done[index] = steps_done(checkpoint, config.interval, index) // config.frequency
            keeps = index in self.old_schedules and not self.changes[index].rebuilds_schedule
            states.append(self.old_schedules[index] if keeps else copy.deepcopy(config.scheduler.state_dict()))
        checkpoint["lr_schedulers"] = states

    # -- applying ------------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Apply the changes to the restored optimizers and schedules, and print them."""
        for stopping, patience in self.patience:
            if stopping.patience != patience:
                rank_zero_info(f"Resumed with EarlyStopping.patience {stopping.patience} → {patience}.")
                stopping.patience = patience
        changes, self.changes = self.changes, []
        for index, change in enumerate(changes):
            optimizer = trainer.optimizers[index]
            before = [float(group["lr"]) for group in optimizer.param_groups]
            self._set_options(index, change, optimizer.param_groups)  # where a strategy has restored it already
            if change.rebuilds_schedule:
                self._rebuild(trainer, index, change, before)
            after = [float(group["lr"]) for group in optimizer.param_groups]
            if before != after:
                change.lines.append(
                    f"The learning rate of step {trainer.global_step} goes from {before[0]:.3g} to {after[0]:.3g}."
                )
            for line in change.lines:
                rank_zero_info(line)

    def _set_options(self, index: int, change: Change, groups: list[dict[str, Any]]) -> None:
        for group, names, fresh in zip(groups, change.options, self.fresh[index], strict=False):
            group.update({name: fresh[name] for name in names if name != "lr"})

    def _rebuild(self, trainer: Trainer, index: int, change: Change, before: list[float]) -> None:
        groups = trainer.optimizers[index].param_groups
        for group, fresh in zip(groups, self.fresh[index], strict=False):
            group.update({name: value for name, value in fresh.items() if name in SCHEDULED})
        scheduler = _scheduler(trainer, trainer.optimizers[index])
        if scheduler is None:
            return
        advance(scheduler, self.done[index])
        same_monitor = find(change.old_schedule, "monitor") == find(self.records[index]["schedule"], "monitor")
        if same_monitor and keep_counts(scheduler, self.old_schedules.get(index)) and not change.rate:
            for group, rate in zip(groups, before, strict=True):
                group["lr"] = rate

    # -- saving --------------------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Describe the optimizers and schedules of this run."""
        if self.records:
            checkpoint[KEY] = copy.deepcopy(self.records)


def _schedules(trainer: Trainer, module: LightningModule) -> list[Any]:
    """Return the schedule of each optimizer: as our modules were configured, else the scheduler itself."""
    live = [_scheduler(trainer, optimizer) for optimizer in trainer.optimizers]
    ask = getattr(module, "configured_schedules", None)
    configured = ask() if callable(ask) else []
    known = [schedule is None for schedule in configured] == [scheduler is None for scheduler in live]
    return configured if known else live  # a subclass may build its own in configure_optimizers


def _scheduler(trainer: Trainer, optimizer: Any) -> Any:
    found = (config.scheduler for config in trainer.lr_scheduler_configs if config.scheduler.optimizer is optimizer)
    return next(found, None)


def _index(trainer: Trainer, scheduler: Any) -> int:
    return next(index for index, each in enumerate(trainer.optimizers) if each is scheduler.optimizer)


def way_out(trainer: Trainer, module: LightningModule) -> str:
    """Return the sentence that ends a refusal to resume with other settings."""
    again = "Resume without that change"
    if not hasattr(module, "weights"):
        return f"{again}, or train a new run."
    return f"{again}, or start a new run from the weights alone: --model.weights {trainer.ckpt_path}."
