"""Train a copy of a module, and leave weights, data order, random streams, trainer and files as they were."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

from foundation.errors import UserError
from foundation.random_streams import random_state_kept, seed_streams
from foundation.trial.copies import ModuleCopy, copied_data, copied_precision, data_kept
from foundation.trial.trainer import TrialTrainer
from foundation.trial.world import World

SETTING_UP = ("setup", "prepare_data", "configure_model")


def trial_fit(
    module: LightningModule,
    data: Any,
    callback: Callback,
    seed: int,
    prepare: Callable[[ModuleCopy], None] | None = None,
    logged: bool = False,
    world: World | None = None,
    **options: Any,
) -> None:
    """Fit a copy of the module, without validation, schedule, logs or files, until the callback stops it.

    The copy is in the world of the run: it reads the run's epoch, step, lengths, data module and callbacks, and loggers
    that record nothing.

    Args:
        module: A deep copy of it is trained.
        data: A data module, which is copied, or a loader of training batches; `None`: the module brings its own.
        callback: Observes the copy, and stops the fit by `trainer.should_stop = True`.
        seed: Of every random stream during the fit.
        prepare: Called with the copy before it is trained.
        logged: Whether the copy logs as the module does, to a logger among the options.
        world: The run that the trial belongs to; by default one with Lightning's default settings.
        **options: Of the trainer, see `trainer_options`; further callbacks come after `callback`.

    Raises:
        UserError: The module cannot be copied.
        KeyboardInterrupt: Ctrl+C, once everything is restored.
    """
    world = world or World()
    batches = copied_data(data)
    with (
        random_state_kept(),
        data_kept(data),
        torch.enable_grad(),
        _silent(),
        TemporaryDirectory(prefix="trial-") as folder,
    ):
        seed_streams(seed)
        copied = _copied_module(module, logged, world)
        if prepare is not None:
            prepare(copied)
        options["callbacks"] = [callback, *options.pop("callbacks", []), _TrainMode()]
        trainer = TrialTrainer(world, folder, **options)
        try:
            trainer.fit(copied.module, batches)
        except SystemExit as error:  # Lightning turns Ctrl+C into it
            raise KeyboardInterrupt from error


class _TrainMode(Callback):
    """Let a schedule-free optimizer train; in a fit a callback of the module's does it, which a copy does not have."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for optimizer in trainer.optimizers:
            if callable(getattr(optimizer, "train", None)) and callable(getattr(optimizer, "eval", None)):
                optimizer.train()  # type: ignore[attr-defined]


def trainer_options(trainer: Trainer | None) -> dict[str, Any]:
    """Return options for `trial_fit` from a trainer: its device, precision, clipping and accumulation.

    Raises:
        UserError: The strategy shards the module over devices, so that one device cannot copy it.
    """
    if trainer is None:
        return {"devices": 1}
    if isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy)):
        raise UserError(
            f"{type(trainer.strategy).__name__} shards the module over devices, and the search trains a copy on one: "
            "search on one device (--trainer.devices 1 --trainer.strategy auto)."
        )
    return {
        "strategy": SingleDeviceStrategy(
            device=trainer.strategy.root_device,
            accelerator=type(trainer.accelerator)(),
            precision_plugin=copied_precision(trainer.precision_plugin),  # so that the scaler keeps its state
        ),
        "gradient_clip_val": trainer.gradient_clip_val,
        "gradient_clip_algorithm": trainer.gradient_clip_algorithm,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "limit_train_batches": trainer.limit_train_batches,
    }


def _copied_module(module: LightningModule, logged: bool, world: World) -> ModuleCopy:
    made = ModuleCopy(module)
    copied: Any = made.module
    if not logged:  # the copied metrics are not the objects that Lightning remembers by identity
        copied.log = copied.log_dict = _ignore
    copied.configure_callbacks = list
    if world.is_set_up:
        for name in SETTING_UP:
            setattr(copied, name, _ignore)
    if hasattr(copied, "forget_schedules"):  # of Descent's modules: they need the length of the real run
        copied.forget_schedules()
    return made


def _ignore(*args: Any, **kwargs: Any) -> None:
    pass


@contextmanager
def _silent() -> Iterator[None]:
    """Suppress Lightning's messages and all warnings."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero")]
    levels = [logger.level for logger in loggers]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
