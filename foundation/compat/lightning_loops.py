"""Private parts of Lightning's training loop: its loaders, the iterator over them, and the sums of `self.log`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _DataLoaderIterDataFetcher
from torch.utils.data import DataLoader


def training_loaders(trainer: Trainer) -> list[Any]:
    """Return the loaders of the training batches, as Lightning uses them; empty before they are made.

    `trainer.train_dataloader` is the collection as the user nested it.
    """
    combined = trainer.fit_loop._combined_loader
    return [] if combined is None else list(combined.flattened)


def restart_training_batches(trainer: Trainer) -> None:
    """Begin to iterate over the training loaders anew.

    Lightning makes the iterator of a fit's first epoch before any hook of a training loop runs, and that of a later
    one only where `trainer.current_epoch` is above 0. No public way makes another.
    """
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is not None:
        iter(fetcher)


def drop_training_batches(trainer: Trainer, number: int) -> None:
    """Fetch batches from the training loaders and drop them, without counting them as fetched in this run.

    Lightning counts the batches of an interrupted epoch itself. Where a loader has no length it holds one batch more
    than it has handed out.
    """
    fetcher = trainer.fit_loop._data_fetcher
    if fetcher is None or fetcher.iterator is None:
        return
    held = getattr(fetcher, "batches", [])
    with suppress(StopIteration):
        for _ in range(number):
            if held:
                held.clear()
            else:
                next(fetcher.iterator)
        if fetcher.length is None and hasattr(fetcher, "batches"):
            held.append(next(fetcher.iterator))


def forget_workers(loader: DataLoader[Any]) -> None:
    """End the workers that a loader keeps between epochs, so that its next iterator asks for its order anew."""
    loader._iterator = None


def batch_from_iterator(trainer: Trainer) -> Any:
    """Return the batch that a step with an argument `dataloader_iter` fetched last; `None` for any other step.

    Such a step is handed no batch, nor are the hooks of callbacks.
    """
    fetcher = trainer.fit_loop._data_fetcher
    return fetcher._batch if isinstance(fetcher, _DataLoaderIterDataFetcher) else None


def forget_toggled(module: LightningModule) -> None:
    """Let a copy of a module forget which parameters `toggle_optimizer` has switched off in the original."""
    module._param_requires_grad_state = {}


# -- values of self.log ------------------------------------------------------------------------------------------------


@dataclass
class LoggedSum:
    """What `self.log(on_epoch=True)` has gathered of one value in an epoch.

    Args:
        name: As it was logged.
        epoch_name: With `_epoch` where the value is logged by step too.
        reduction: `mean`, `sum`, `min` or `max`.
        value: The sum, minimum or maximum so far.
        weight: Number of samples, for a mean.
        reduced: Whether the value is that of all processes.
        prog_bar: As it was logged.
        logger: As it was logged.
    """

    name: str
    epoch_name: str
    reduction: str
    value: float
    weight: float
    reduced: bool
    prog_bar: bool
    logger: bool

    @property
    def mean(self) -> float:
        """The value of the epoch, if nothing more is logged."""
        return self.value / max(self.weight, 1) if self.reduction == "mean" else self.value


def logged_sums(trainer: Trainer) -> dict[str, LoggedSum]:
    """Return the sums of the training epoch so far, by Lightning's key; all processes call it.

    Lightning keeps them in `_results` of the training loop and saves them nowhere. Logged torchmetrics objects are not
    among them: they are the module's own, and have states that are saved with it.
    """
    found = {}
    for key, metric in sorted(trainer.fit_loop.epoch_loop._results.items()):
        if not (metric.is_tensor and metric.meta.on_epoch and metric.update_called):
            continue
        meta, reduce = metric.meta, metric.meta.sync.should and trainer.world_size > 1
        value, weight = metric.value, getattr(metric, "cumulated_batch_size", torch.zeros(()))
        kind = meta.reduce_fx.__name__
        if reduce:
            value = trainer.strategy.reduce(value.clone(), reduce_op="sum" if kind == "mean" else kind)
            weight = trainer.strategy.reduce(weight.clone(), reduce_op="sum")
        names = meta.name, meta.forked_name(on_step=False)
        found[key] = LoggedSum(*names, kind, float(value), float(weight), reduce, meta.prog_bar, meta.logger)
    return found


def logged_metrics_of_epoch(trainer: Trainer) -> list[Any]:
    """Return the torchmetrics objects that the training epoch has logged; Lightning resets them when it is over."""
    return [each.value for each in trainer.fit_loop.epoch_loop._results.values() if not each.is_tensor]


def add_logged_sum(trainer: Trainer, key: str, saved: LoggedSum) -> bool:
    """Add what an interrupted epoch gathered to a value that has been logged since; return whether it has been.

    Addition in this order gives the bits of the uninterrupted run: the sum of two numbers does not depend on theirs.
    """
    metric = trainer.fit_loop.epoch_loop._results.get(key)
    if metric is None or not metric.update_called:
        return False
    if saved.reduction in ("mean", "sum"):
        metric.value = metric.value + saved.value
    else:
        metric.value = metric.meta.reduce_fx(metric.value, torch.full_like(metric.value, saved.value))
    if saved.reduction == "mean":
        metric.cumulated_batch_size = metric.cumulated_batch_size + int(saved.weight)
    return True
