"""Save and restore what an unfinished epoch has gathered: states of metrics, gradients of an accumulation window."""

from collections.abc import Iterator
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import Metric

from foundation.compat.lightning_loops import logged_metrics_of_epoch
from foundation.compat.torchmetrics import set_update_count


def gradients_of(module: nn.Module) -> dict[str, Tensor]:
    """Copy the gradients by parameter name."""
    return {name: p.grad.detach().clone() for name, p in module.named_parameters() if p.grad is not None}


def restore_gradients(module: nn.Module, gradients: dict[str, Tensor]) -> None:
    """Set the gradients, each on its parameter's device."""
    parameters = dict(module.named_parameters())
    for name, gradient in gradients.items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device)


def ends_epoch(trainer: Trainer) -> bool:
    """Return whether the last batch of the epoch is done."""
    return bool(trainer.fit_loop.epoch_loop.batch_progress.is_last_batch)


def kept_tensors(module: LightningModule) -> list[str]:
    """Return the names of lists of tensors that a module keeps, as people do with outputs until an epoch ends."""
    lists = {name: value for name, value in vars(module).items() if type(value) is list and not name.startswith("_")}
    return [name for name, value in lists.items() if any(isinstance(item, Tensor) for item in tensors_of(value))]


def tensors_of(values: list[Any]) -> Iterator[Any]:
    """Yield the items of a list and of the dicts and tuples in it."""
    for value in values:
        if isinstance(value, dict):
            yield from value.values()
        elif isinstance(value, (tuple, list)):
            yield from value
        else:
            yield value


def metrics_in(module: LightningModule) -> Iterator[tuple[str, Metric]]:
    """Yield every torchmetrics object in a module with its name."""
    return ((name, child) for name, child in module.named_modules() if isinstance(child, Metric))


def metric_states(module: LightningModule, trainer: Trainer) -> dict[str, Any]:
    """Return the state of every updated metric, reduced over the processes; all of them call this.

    At the end of an epoch those are left out that Lightning resets after it, because they were logged.
    """
    saved = {}
    over = {id(metric) for metric in logged_metrics_of_epoch(trainer)} if ends_epoch(trainer) else set()
    for name, metric in metrics_in(module):
        if not metric.update_called or id(metric) in over:
            continue
        with metric.sync_context(should_sync=trainer.world_size > 1):
            state = {key: _copy(value) for key, value in metric.metric_state.items()}
        saved[name] = {"updates": metric.update_count, "state": state}
    return saved


def restore_metrics(module: LightningModule, saved: dict[str, Any]) -> None:
    """Restore the metrics from `metric_states`, each on its own device."""
    for name, metric in metrics_in(module):
        if name in saved:
            for key, value in saved[name]["state"].items():
                setattr(metric, key, _moved(value, metric.device))
            set_update_count(metric, saved[name]["updates"])


def _copy(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else [_copy(item) for item in value]


def _moved(value: Any, device: torch.device) -> Any:
    return value.to(device) if isinstance(value, Tensor) else [_moved(item, device) for item in value]
