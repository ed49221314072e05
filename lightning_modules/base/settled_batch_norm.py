"""Compute the statistics of batch norm anew before a validation, in runs that are too short for them to follow."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
from lightning.pytorch.utilities import rank_zero_info
from torch import nn

from foundation.argument_checks import require_between
from foundation.compat.torch import is_batch_norm
from lightning_modules.distributed.gathered_batch_norm import GatheredBatchNorm
from lightning_modules.schedulers.run_length import RunLength

SYNCHRONISED = (nn.SyncBatchNorm, GatheredBatchNorm)

IMAGES = 1024
"""Training images of a pass, at most."""


class SettledBatchNorm(Callback):
    r"""Replace the running statistics of batch norm before each validation of a short run. Our modules add it.

    The running mean and variance cover about the last $1 / m$ steps ($m$ = momentum, usually 0.1). In a short run the
    weights change so much within these steps that the statistics are those of another network, and validation stays at
    chance while the same weights are good. So in a run of fewer than $15 / m$ steps the statistics are computed anew,
    by a pass over at most 1,024 training images without augmentation, and kept. A momentum of 20 / steps follows the
    weights as well where a batch has 100 images, and is worse where it has 8. In longer runs the running statistics are
    as good or better.

    Training does not read them, so its weights are the same with and without. The pass draws no random numbers: a
    resumed run computes the same statistics. Layers that are frozen, and data that is not of our data modules, keep
    theirs.

    Args:
        windows: A run of fewer steps than this many times $1 / m$ is too short, ≥ 0; with 0 no run is.
    """

    def __init__(self, windows: float = 15.0) -> None:
        require_between("windows", windows, 0)
        self.windows = windows
        self.layers: list[nn.Module] = []
        self._resumes = False
        self._sentence = ""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers whose statistics the run is too short for."""
        self.layers = []
        if not trainer.enable_validation or (trainer.ckpt_path is not None and not self._resumes):
            return
        steps = RunLength.from_trainer(trainer).steps
        sharded = isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy, DeepSpeedStrategy))
        samples = getattr(getattr(trainer, "datamodule", None), "plain_training_batches", None)
        if steps is not None and not sharded and samples is not None:
            self.layers = [layer for layer in pl_module.modules() if lags(layer, steps, self.windows)]
        self._sentence = (
            f"{steps} steps are few for the running statistics of batch norm: before each validation they are computed "
            "from training images."
        )
        self._announce()

    def _announce(self) -> list[nn.Module]:
        """Return the layers that are not frozen now; the first time that there are some, say what is done."""
        layers = [layer for layer in self.layers if not is_frozen(layer)]
        if layers and self._sentence:
            rank_zero_info(self._sentence)
            self._sentence = ""
        return layers

    @torch.no_grad()
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute the statistics of the weights that are validated; those of an average are in the module by now."""
        layers = [] if trainer.sanity_checking else self._announce()
        if not layers:
            return
        batches = trainer.datamodule.plain_training_batches(IMAGES, pl_module.device)  # type: ignore[attr-defined]
        shared = any(isinstance(layer, SYNCHRONISED) for layer in layers)  # they count the images of all processes
        with (
            statistics_of_batches(layers),
            torch.compiler.set_stance("force_eager"),
            trainer.precision_plugin.forward_context(),
        ):
            for images in batches:
                pl_module(images.tensor_split(trainer.world_size)[trainer.global_rank] if shared else images)

    def state_dict(self) -> dict[str, Any]:
        """Return something, so that a checkpoint shows that its run has this callback."""
        return {"settles": True}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Note that the resumed run has this callback; one of an earlier version ends as it began, without."""
        self._resumes = True


def lags(layer: nn.Module, steps: int, windows: float) -> bool:
    """Return whether a layer has running statistics that a run of so many steps is too short for."""
    momentum = getattr(layer, "momentum", None)
    running = is_batch_norm(layer) and isinstance(layer.running_mean, torch.Tensor)
    return bool(running and momentum and steps < windows / momentum)


def is_frozen(layer: nn.Module) -> bool:
    """Return whether a layer keeps its statistics, or has parameters, none of which is trained."""
    if getattr(layer, "keeps_statistics", False):
        return True
    own = list(layer.parameters(recurse=False))
    return bool(own) and not any(parameter.requires_grad for parameter in own)


@contextmanager
def statistics_of_batches(layers: list[nn.Module]) -> Iterator[None]:
    """Let layers forget their statistics, and average those of the batches that are run inside.

    Example:
        >>> norm = nn.BatchNorm1d(1).eval()
        >>> with statistics_of_batches([norm]):
        ...     _ = norm(torch.tensor([[1.0], [3.0]])), norm(torch.tensor([[5.0], [7.0]]))
        >>> norm.running_mean, norm.momentum, norm.num_batches_tracked, norm.training
        (tensor([4.]), 0.1, tensor(0), False)
    """
    before = [(layer.momentum, layer.num_batches_tracked.clone()) for layer in layers]  # type: ignore[operator]
    hooks = []
    for layer in layers:
        layer.reset_running_stats()  # type: ignore[operator]
        layer.training = True
        hooks.append(layer.register_forward_pre_hook(_mean_of_calls()))
    try:
        yield
    finally:
        for layer, hook, (momentum, count) in zip(layers, hooks, before, strict=True):
            hook.remove()
            layer.momentum, layer.training = momentum, False
            layer.num_batches_tracked.copy_(count)  # type: ignore[operator]


def _mean_of_calls() -> Callable[[nn.Module, Any], None]:
    """Return a hook that gives each call the same weight; batch norm's own count of them is read from the device."""
    calls = itertools.count(1)

    def hook(layer: nn.Module, arguments: Any) -> None:
        layer.momentum = 1 / next(calls)  # type: ignore[assignment]

    return hook
