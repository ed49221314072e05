"""The sums that metrics have gathered in an epoch that is not over: saved over all processes, restored once."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import Metric

from foundation.compat.torchmetrics import set_update_count


def open_gradients(module: nn.Module) -> dict[str, Tensor]:
    """Gradients by parameter, where there are any."""
    return {name: p.grad.detach().clone() for name, p in module.named_parameters() if p.grad is not None}


def load_gradients(module: nn.Module, gradients: dict[str, Tensor]) -> None:
    """Put them back, on each parameter's device."""
    parameters = dict(module.named_parameters())
    for name, gradient in gradients.items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device)


@runtime_checkable
class Sums(Protocol):
    """A plain attribute of a module that gathers sums: `state_dict` gives this process's."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and numbers that add up over processes."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from them."""


def metrics_in(module: LightningModule) -> Iterator[tuple[str, Metric]]:
    """Every torchmetrics object in a module, by name."""
    return ((name, child) for name, child in module.named_modules() if isinstance(child, Metric))


def open_sums(module: LightningModule, trainer: Trainer) -> dict[str, Any]:
    """The state of every metric, summed over the processes as the metric itself says; called by all of them."""
    saved = {}
    for name, metric in metrics_in(module):
        if not metric.update_called:
            continue
        with metric.sync_context(should_sync=trainer.world_size > 1):
            state = {key: _plain(value) for key, value in metric.metric_state.items()}
        saved[name] = {"updates": metric.update_count, "state": state}
    return saved


def load_open_sums(module: LightningModule, saved: dict[str, Any]) -> None:
    """Continue the metrics from what `open_sums` gave."""
    for name, metric in metrics_in(module):
        if name in saved:
            for key, value in saved[name]["state"].items():
                setattr(metric, key, value)
            set_update_count(metric, saved[name]["updates"])


def _plain(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else [_plain(item) for item in value]
