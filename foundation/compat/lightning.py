"""Private parts of Lightning's modules, strategies, launchers, checkpoints and loggers."""

from __future__ import annotations

import gc
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.utilities.distributed import _set_num_threads_if_needed
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import BatchSizeFinder, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher
from lightning.pytorch.utilities.argparse import _parse_env_variables
from torch.nn.parallel import DistributedDataParallel


def trainer_of(module: LightningModule) -> Trainer | None:
    """Return the trainer of a module, or `None` where it has none, as while `load_from_checkpoint` builds the module.

    `LightningModule.trainer` raises `RuntimeError` there, which is a base of too many errors to catch at each use.
    """
    with suppress(RuntimeError):
        return module.trainer
    return None


def trainer_variables() -> dict[str, Any]:
    """Return the arguments of a Trainer that the environment sets, as `PL_TRAINER_MAX_EPOCHS`.

    Lightning reads them by the signature of the class that is made, so that a subclass with `**kwargs` gets none.
    """
    return dict(vars(_parse_env_variables(Trainer)))


# -- strategies and processes ------------------------------------------------------------------------------------------


def process_timeout(strategy: Strategy) -> timedelta | None:
    """Return how long the strategy's processes wait for each other; `None` for a strategy with one process.

    The strategies take a `timeout` argument, but offer no public attribute to read it back.
    """
    timeout: timedelta | None = getattr(strategy, "_timeout", None)
    return timeout


def set_process_timeout(strategy: Strategy, timeout: timedelta) -> None:
    """Set how long the strategy's processes wait for each other, before the process group is made.

    `timeout` is an argument of the strategies' constructors, which Lightning calls itself where a strategy is given by
    name (`--trainer.strategy ddp`).
    """
    strategy._timeout = timeout  # type: ignore[attr-defined]


def shard_over_all_processes(strategy: Strategy, processes: int) -> None:
    """Let `ModelParallelStrategy(data_parallel_size="auto", tensor_parallel_size=1)` shard over every process.

    For "auto" Lightning takes the number of nodes, and then refuses it because it does not match the number of
    processes. The sizes have no public setter.
    """
    if not isinstance(strategy, ModelParallelStrategy):
        return
    if (strategy._data_parallel_size, strategy._tensor_parallel_size) == ("auto", 1):
        strategy._data_parallel_size = processes


def let_ddp_find_unused_parameters(strategy: Strategy | None) -> None:
    """Set DDP's `find_unused_parameters`; do nothing for another strategy.

    It is an argument of `DDPStrategy`, which Lightning calls itself where the strategy is given by name; the preset
    `strategies/ddp.yaml` sets it to false, with which a module that leaves parameters unused ends in its second step.
    """
    getattr(strategy, "_ddp_kwargs", {})["find_unused_parameters"] = True


def wrap_for_ddp_again(trainer: Trainer) -> None:
    """Let DDP reduce the gradients of parameters that were frozen when it wrapped the module; nothing without DDP.

    DDP fixes its parameters when it wraps a module. The strategy offers a method to wrap, for a module that is not
    wrapped yet, and collecting the old wrapper removes its hooks from the parameters.
    """
    strategy = trainer.strategy
    if isinstance(strategy, DDPStrategy) and isinstance(strategy.model, DistributedDataParallel):
        strategy.model = trainer.lightning_module
        gc.collect()
        strategy.configure_ddp()


class ScriptLauncher(_SubprocessScriptLauncher):
    """Lightning's launcher that starts this script again for every further device of the machine.

    The class is private, and its `launch` also starts an observer that kills the first process without a word.
    """

    def start_other_processes(self) -> None:
        """Start the processes of this machine after the first; they are in `procs` afterwards."""
        self._call_children_scripts()

    def share_cores(self) -> None:
        """Give this process its share of the cores, unless `OMP_NUM_THREADS` is set."""
        _set_num_threads_if_needed(num_processes=self.num_processes)


def replace_script_launcher(strategy: Strategy, kind: type[ScriptLauncher]) -> None:
    """Let the strategy start its processes with `kind`, where it would use Lightning's script launcher.

    A launcher cannot be given to a Trainer: the strategy makes it in `_configure_launcher`.
    """
    if type(strategy.launcher) is _SubprocessScriptLauncher:
        strategy._launcher = kind(strategy.cluster_environment, strategy.num_processes, strategy.num_nodes)  # type: ignore[attr-defined]


# -- gradient accumulation ---------------------------------------------------------------------------------------------


def closes_window(trainer: Trainer) -> bool:
    """Return whether the current batch of training ends an accumulation window, so that the optimizer steps after it.

    Lightning asks this private method itself. `trainer.is_last_batch` is public, but set only where the loader ends.
    """
    return not trainer.fit_loop._should_accumulate()


def logged_step(trainer: Trainer) -> int:
    """Return the step that Lightning gives to a row of metrics which it logs now.

    It counts batches that closed an accumulation window; `trainer.global_step` counts steps of optimizers, which are
    more where a module steps several, and fewer where it accumulates by hand. The number has no public name.
    """
    return int(trainer.fit_loop.epoch_loop._batches_that_stepped)


# -- hooks of callbacks ------------------------------------------------------------------------------------------------


@contextmanager
def hooks_skipped(hooks: Iterable[tuple[Callback, str]]) -> Iterator[None]:
    """Let the trainer pass over these hooks of callbacks, none of which is set on the object itself.

    Lightning calls every hook of every callback, also the empty ones that `Callback` has, but passes over an attribute
    that cannot be called. No public way leaves a hook out. Sixty empty calls a step take 4 % of a small network's step.
    """
    hooks = list(hooks)
    for callback, name in hooks:
        setattr(callback, name, None)
    try:
        yield
    finally:
        for callback, name in hooks:
            vars(callback).pop(name, None)


def leave_sigterm_to_callback(trainer: Trainer) -> None:
    """Stop Lightning's question to rank 0, before each training batch of several processes, whether SIGTERM came.

    Lightning copies a number to the device, broadcasts it and waits for the answer: on GPUs two stops of the device in
    each step. A callback that replaces Lightning's handler of SIGTERM makes the answer always no. Lightning has no
    switch for it.
    """
    trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = _nothing  # type: ignore[method-assign]


def ask_for_sigterm_again(trainer: Trainer) -> None:
    """Undo `leave_sigterm_to_callback`, for a fit without that callback."""
    trainer.fit_loop.epoch_loop.__dict__.pop("_broadcast_sigterm_tensor", None)


def _nothing() -> None:
    """Stand for a method that is switched off."""


# -- batch size --------------------------------------------------------------------------------------------------------


HOOK_NAME = "_current_fx_name"
"""Attribute in which the trainer writes the name of the hook that runs, forty times a step."""


class QuickHookNames:
    """Base of a LightningModule that stores the name of the running hook as an ordinary attribute.

    `nn.Module.__setattr__` first looks whether a value is a parameter, a module or a buffer: 1.7 µs a name instead of
    0.2 µs.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == HOOK_NAME:
            vars(self)[name] = value
        else:
            super().__setattr__(name, value)


@dataclass(frozen=True)
class BatchSizeSettings:
    """Arguments of a `BatchSizeFinder`: attribute to set, mode, steps of a trial, first size, trials, margin, most."""

    name: str
    mode: str
    steps: int
    start: int
    trials: int
    margin: float
    most: int


def batch_size_settings(finder: BatchSizeFinder) -> BatchSizeSettings:
    """Return the arguments of a `BatchSizeFinder`, which has no public attribute for them."""
    return BatchSizeSettings(
        finder._batch_arg_name,
        finder._mode,
        finder._steps_per_trial,
        finder._init_val,
        finder._max_trials,
        finder._margin,
        finder._max_val,
    )


# -- checkpoints -------------------------------------------------------------------------------------------------------


class CheckpointWithLast(ModelCheckpoint):
    """A `ModelCheckpoint` that decides itself which file `ckpt_path="last"` means.

    Lightning's own looks for file names that begin with `CHECKPOINT_NAME_LAST`, and does not see that one is damaged.
    """

    @abstractmethod
    def last_checkpoints(self, trainer: Trainer) -> set[str]:
        """Return the candidates; Lightning takes the newest of those of all callbacks."""

    def _find_last_checkpoints(self, trainer: Trainer) -> set[str]:
        return self.last_checkpoints(trainer)


def loaded_checkpoint(trainer: Trainer) -> dict[str, Any]:
    """Return the checkpoint that a fit resumes from, in `on_fit_start`; empty at another time.

    Lightning calls no hook of a callback with a checkpoint that holds weights only, and then fails with a `KeyError`.
    """
    return dict(trainer._checkpoint_connector._loaded_checkpoint)


def loads_unasked(trainer: Trainer) -> bool:
    """Return whether a call without `ckpt_path` loads one: `trainer.ckpt_path` was set, or SLURM starts a job again."""
    connector = trainer._checkpoint_connector
    return connector._user_managed or (SLURMEnvironment.detect() and connector._hpc_resume_path is not None)


# -- loggers -----------------------------------------------------------------------------------------------------------


class MetricsWriter(ExperimentWriter):
    """The writer of `CSVLogger` with the two moments open that touch an existing `metrics.csv`.

    Lightning's own deletes the file of an earlier run, and truncates the file before it adds a column.
    """

    @abstractmethod
    def open_existing(self) -> None:
        """Decide what happens to a `metrics.csv` that exists when the writer is made."""

    @abstractmethod
    def add_columns(self, names: list[str]) -> None:
        """Rewrite `metrics.csv` with these columns."""

    def _check_log_dir_exists(self) -> None:
        self.open_existing()

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        self.add_columns(fieldnames)


class CSVLoggerWithWriter(CSVLogger):
    """A `CSVLogger` whose writer is made by `make_writer`; Lightning's own names the writer's class in a property."""

    @abstractmethod
    def make_writer(self) -> MetricsWriter:
        """Make the writer; called once, on the first process only."""

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The writer, made at its first use."""
        if self._experiment is None:
            self._experiment = self.make_writer()
        return self._experiment
