"""Copies of a module, its optimizers, its data and its precision, with what cannot be copied left as it is."""

from __future__ import annotations

import copy
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor, nn
from torch.optim import Optimizer

from foundation.compat.lightning_loops import forget_toggled
from foundation.compat.torch import MODULE_REGISTRIES
from foundation.errors import UserError


class ModuleCopy:
    """A deep copy of a module, and of objects that belong to it.

    Tensors with a graph are copied without it. What cannot be copied, such as a lock or a file, is shared with the
    original, and a line says so; `shared` names it. An iterator is not shared, since the trial would use it up.

    Args:
        module: The original.

    Raises:
        UserError: The module cannot be copied, not even so.
    """

    def __init__(self, module: LightningModule) -> None:
        self.memo: dict[int, Any] = {}
        self.shared: list[str] = []
        try:
            self.module: LightningModule = copy.deepcopy(module, self.memo)
        except Exception:
            try:
                self.memo = self._substitutes(module)
                self.module = copy.deepcopy(module, self.memo)
            except Exception as error:
                raise UserError(
                    f"{type(module).__name__} cannot be copied ({type(error).__name__}: {error}), so no copy can be "
                    "trained."
                ) from error
        if self.shared:
            rank_zero_info(f"A trial uses the module's own {', '.join(self.shared)}, which cannot be copied.")
        for parameter in self.module.parameters():
            if not parameter.is_leaf:  # of a ScriptModule, whose copy is computed from the original
                parameter.detach_().requires_grad_()
        forget_toggled(self.module)

    def _substitutes(self, module: nn.Module) -> dict[int, Any]:
        """Return a memo with what stands in the copy for each attribute that cannot be copied."""
        memo: dict[int, Any] = {}
        for path, part in module.named_modules():
            for name, value in vars(part).items():
                if (
                    name not in MODULE_REGISTRIES
                    and not isinstance(value, (LightningModule, Trainer))
                    and not copies(value)
                ):
                    memo[id(value)] = self._substitute(value, ".".join(filter(None, (path, name))))
        return memo

    def _substitute(self, value: Any, name: str) -> Any:
        if isinstance(value, Tensor):
            return value.detach().clone()
        if type(value) in (list, set):
            return type(value)(self._substitute(item, name) if not copies(item) else item for item in value)
        if type(value) is dict:
            return {key: self._substitute(item, name) if not copies(item) else item for key, item in value.items()}
        if isinstance(value, Iterator) and not isinstance(value, io.IOBase):
            raise TypeError(f"the trial would use up the {type(value).__name__} in {name}")
        self.shared.append(name)
        return value

    def optimizer(self, original: Optimizer) -> Optimizer:
        """Return a copy of an optimizer over the copied parameters, without hooks."""
        copied: Optimizer = copy.deepcopy(original, self.memo)
        for name, value in vars(original).items():  # what `__getstate__` leaves out, as LBFGS's list of parameters
            if name not in vars(copied) and not callable(value) and copies(value):
                setattr(copied, name, copy.deepcopy(value, self.memo))
        return copied

    def configured(self, trainer: Trainer) -> tuple[list[Optimizer], list[dict[str, Any]]]:
        """Return what `configure_optimizers` returns for the run's optimizers and schedules in their present state."""
        names = ("interval", "frequency", "reduce_on_plateau", "monitor", "strict", "name")
        optimizers = [self.optimizer(original) for original in trainer.optimizers]
        schedules = [
            {"scheduler": copy.deepcopy(config.scheduler, self.memo)} | {name: getattr(config, name) for name in names}
            for config in trainer.lr_scheduler_configs
        ]
        return optimizers, schedules


def copies(value: Any) -> bool:
    """Return whether a value can be copied deeply."""
    try:
        copy.deepcopy(value)
    except Exception:
        return False
    return True


def set_requires_grad(module: nn.Module, wanted: Mapping[str, bool]) -> None:
    """Set which parameters are trained, by name."""
    for name, parameter in module.named_parameters():
        if name in wanted:
            parameter.requires_grad_(wanted[name])


def copied_precision(plugin: Precision) -> Precision:
    """Copy a precision plugin; a scaler refuses to be copied within a step, but gives its state at any time."""
    scaler = getattr(plugin, "scaler", None)
    if not isinstance(plugin, MixedPrecision) or scaler is None:
        return copy.deepcopy(plugin)
    copied = copy.copy(plugin)
    copied.scaler = torch.amp.GradScaler(plugin.device)
    copied.scaler.load_state_dict(scaler.state_dict())
    return copied


def copied_data(data: Any) -> Any:
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
def data_kept(data: Any) -> Iterator[None]:
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
