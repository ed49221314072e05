"""Train a copy of a module, and leave weights, data order, random streams, trainer and files as they were."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

from foundation.errors import UserError
from foundation.random_streams import random_state_kept, seed_streams


def trial_fit(
    module: LightningModule,
    data: Any,
    callback: Callback,
    seed: int,
    prepare: Callable[[LightningModule], None] | None = None,
    logged: bool = False,
    **options: Any,
) -> None:
    """Fit a copy of the module, without validation, schedule, logs or files, until the callback stops it.

    Args:
        module: A deep copy of it is trained.
        data: A data module, which is copied, or a loader of training batches.
        callback: Observes the copy, and stops the fit by `trainer.should_stop = True`.
        seed: Of every random stream during the fit.
        prepare: Called with the copy before it is trained.
        logged: Whether the copy logs as the module does, to a logger among the options.
        **options: Of the trainer, see `trainer_options`; further callbacks come after `callback`.

    Raises:
        UserError: The module cannot be copied.
        KeyboardInterrupt: Ctrl+C, once everything is restored.
    """
    batches = _copied_data(data)
    with random_state_kept(), _data_kept(data), torch.enable_grad(), _silent():
        seed_streams(seed)
        copied = _copied_module(module, logged)
        if prepare is not None:
            prepare(copied)
        callbacks = [callback, *options.pop("callbacks", []), _TrainMode()]
        trainer = Trainer(
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            max_epochs=-1,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            callbacks=callbacks,
            **({"logger": False} | options),
        )
        try:
            trainer.fit(copied, batches)
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
            precision_plugin=_copied_precision(trainer.precision_plugin),  # so that the scaler keeps its state
        ),
        "gradient_clip_val": trainer.gradient_clip_val,
        "gradient_clip_algorithm": trainer.gradient_clip_algorithm,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "limit_train_batches": trainer.limit_train_batches,
    }


def _copied_precision(plugin: Precision) -> Precision:
    """Copy a precision plugin; a scaler refuses to be copied within a step, but gives its state at any time."""
    scaler = getattr(plugin, "scaler", None)
    if not isinstance(plugin, MixedPrecision) or scaler is None:
        return copy.deepcopy(plugin)
    copied = copy.copy(plugin)
    copied.scaler = torch.amp.GradScaler(plugin.device)
    copied.scaler.load_state_dict(scaler.state_dict())
    return copied


def _copied_module(module: LightningModule, logged: bool) -> LightningModule:
    try:
        copied = copy.deepcopy(module)
    except Exception as error:
        raise UserError(
            f"{type(module).__name__} cannot be copied ({type(error).__name__}: {error}), so no copy can be "
            "trained: keep non-leaf tensors, files and locks out of its attributes."
        ) from error
    if not logged:  # the copied metrics are not the objects that Lightning remembers by identity
        copied.log = copied.log_dict = _ignore  # type: ignore[method-assign, assignment]
    copied.configure_callbacks = list  # type: ignore[method-assign, assignment]
    if hasattr(copied, "scheduler") and hasattr(copied, "optimizer"):
        copied.scheduler = None  # type: ignore[assignment]  # of Descent's modules: it needs the length of the real run
    if hasattr(copied, "forget_schedules"):  # a GAN has two
        copied.forget_schedules()  # type: ignore[operator]
    return copied


def _ignore(*args: Any, **kwargs: Any) -> None:
    pass


def _copied_data(data: Any) -> Any:
    """Copy a data module, sharing the tensors but not the containers."""
    if not isinstance(data, LightningDataModule):
        return data
    copied = copy.copy(data)
    for name, value in vars(copied).items():
        if type(value) in (list, dict, set):
            setattr(copied, name, value.copy())
    if hasattr(copied, "endless"):  # of Descent's: augmentation that depends on the progress stays as at the start
        copied.endless = True
    copied.trainer = None
    return copied


@contextmanager
def _data_kept(data: Any) -> Iterator[None]:
    """Restore the generators and epoch counters that a copied data module shares with the original."""
    holders = [holder for holder in _holders(data) if holder is not None]
    generators = [value for holder in holders for value in vars(holder).values() if isinstance(value, torch.Generator)]
    states = [(generator, generator.get_state()) for generator in generators]
    epochs = [(holder, vars(holder)["epoch"]) for holder in holders if "epoch" in vars(holder)]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)
        for holder, epoch in epochs:
            holder.epoch = epoch


def _holders(data: Any) -> list[Any]:
    loaders = [data, *(value for value in getattr(data, "__dict__", {}).values() if hasattr(value, "batch_sampler"))]
    parts = [getattr(loader, name, None) for loader in loaders for name in ("sampler", "batch_sampler", "dataset")]
    return [holder for holder in [*loaders, *parts] if hasattr(holder, "__dict__")]


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
