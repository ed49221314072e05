"""Train a copy, and leave no trace of it: weights, data order, random streams, trainer and files are as before."""

import copy
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy, SingleDeviceStrategy

from foundation.errors import UserError
from foundation.random_streams import random_state_kept, seed_streams


def private_fit(
    module: LightningModule,
    data: Any,
    callback: Callback,
    seed: int,
    adjust: Callable[[LightningModule], None] | None = None,
    logged: bool = False,
    **options: Any,
) -> None:
    """Fit a copy of the module on the data, without validation, schedule, logs or files, until the callback stops it.

    Args:
        module: As it is; a deep copy is trained.
        data: A data module, of which a copy is used, or training batches (a loader).
        callback: Sees the copy, and says `trainer.should_stop = True`.
        seed: Of every random stream in the meantime.
        adjust: Called with the copy before it is trained.
        logged: Whether the copy logs as the module does, to a logger among the options.
        **options: Of the trainer, as `trainer_options` gives them; more callbacks come after the one above.

    Raises:
        UserError: The module cannot be copied.
        KeyboardInterrupt: Ctrl+C, after everything is as before.
    """
    batches = _copied_data(data)
    with random_state_kept(), _data_kept(data), _grad_mode_kept(), _silence():
        seed_streams(seed)
        twin = _copied_module(module, logged)
        if adjust is not None:
            adjust(twin)
        others = options.pop("callbacks", [])
        trainer = Trainer(
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            max_epochs=-1,
            limit_val_batches=0,
            num_sanity_val_steps=0,
            callbacks=[callback, *others],
            **({"logger": False} | options),
        )
        try:
            trainer.fit(twin, batches)
        except SystemExit as error:  # what Lightning makes of Ctrl+C
            raise KeyboardInterrupt from error


def trainer_options(trainer: Trainer | None) -> dict[str, Any]:
    """What one private trainer takes over from another trainer: device, precision, clipping, accumulation.

    Raises:
        UserError: The strategy spreads the module over devices, so that no device can copy it.
    """
    if trainer is None:
        return {"devices": 1}
    if isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy)):
        raise UserError(
            f"{type(trainer.strategy).__name__} spreads the module over devices, and the search trains a copy on one: "
            "search on one device (--trainer.devices 1 --trainer.strategy auto)."
        )
    return {
        "strategy": SingleDeviceStrategy(
            device=trainer.strategy.root_device,
            accelerator=type(trainer.accelerator)(),
            precision_plugin=copy.deepcopy(trainer.precision_plugin),  # a scaler keeps its state to itself
        ),
        "gradient_clip_val": trainer.gradient_clip_val,
        "gradient_clip_algorithm": trainer.gradient_clip_algorithm,
        "accumulate_grad_batches": trainer.accumulate_grad_batches,
        "limit_train_batches": trainer.limit_train_batches,
    }


def _copied_module(module: LightningModule, logged: bool) -> LightningModule:
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise UserError(
            f"{type(module).__name__} cannot be copied ({type(error).__name__}: {error}), so it cannot be tried out "
            "without a trace: keep tensors that are not leaves, files and locks out of its attributes."
        ) from error
    if not logged:  # it concerns nobody; and its metrics have other identities than those that Lightning remembers
        twin.log = twin.log_dict = _nothing  # type: ignore[method-assign, assignment]
    twin.configure_callbacks = list  # type: ignore[method-assign, assignment]
    if hasattr(twin, "scheduler") and hasattr(twin, "optimizer"):
        twin.scheduler = None  # type: ignore[assignment]  # of Descent's modules: a length that the real run has is none of this one
    if hasattr(twin, "forget_schedules"):  # of a GAN, which has two
        twin.forget_schedules()  # type: ignore[operator]
    return twin


def _nothing(*args: Any, **kwargs: Any) -> None:
    pass


def _copied_data(data: Any) -> Any:
    """A copy that shares the tensors, not the containers."""
    if not isinstance(data, LightningDataModule):
        return data
    twin = copy.copy(data)
    for name, value in vars(twin).items():
        if type(value) in (list, dict, set):
            setattr(twin, name, value.copy())
    if hasattr(twin, "endless"):  # of Descent's: what depends on the length of the run is as at its beginning
        twin.endless = True
    twin.trainer = None
    return twin


@contextmanager
def _data_kept(data: Any) -> Iterator[None]:
    """Generators and epoch counters that the copy shares with the original are afterwards as before."""
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
def _grad_mode_kept() -> Iterator[None]:
    enabled = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    try:
        yield
    finally:
        torch.set_grad_enabled(enabled)


@contextmanager
def _silence() -> Iterator[None]:
    """A private trainer does not introduce itself."""
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
