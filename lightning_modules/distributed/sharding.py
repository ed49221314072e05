"""Weights sharded over processes by FSDP1 (`FSDPStrategy`) and FSDP2 (`ModelParallelStrategy`)."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import FSDPStrategy, ModelParallelStrategy
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_

from foundation.compat.lightning import trainer_of
from lightning_modules.optimizers.clipping import Norms

SMALLEST = 10_000  # weights of a child that is worth a shard group of its own


def shard(module: LightningModule, network: nn.Module) -> None:
    """Shard the weights of a network if the trainer's strategy is `ModelParallelStrategy`; FSDP1 does so itself.

    Each child with at least 10,000 weights is sharded separately, so that only one child at a time is gathered.
    """
    trainer = trainer_of(module)
    if trainer is None:
        return
    if isinstance(trainer.strategy, (FSDPStrategy, ModelParallelStrategy)):
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # shards are contiguous pieces of memory
    if not isinstance(trainer.strategy, ModelParallelStrategy):
        return
    from torch.distributed.fsdp import FSDPModule, fully_shard  # slow to import

    if isinstance(network, FSDPModule):
        return
    mesh = module.device_mesh["data_parallel"]  # type: ignore[index]
    for child in network.children():
        if sum(p.numel() for p in child.parameters()) >= SMALLEST:
            fully_shard(child, mesh=mesh)
    fully_shard(network, mesh=mesh)


def flat_shards_of(module: LightningModule) -> Any:
    """Return the root module of FSDP1, which computes the total norm; `None` with any other strategy."""
    wrapped = module.trainer.strategy.model
    return wrapped if hasattr(wrapped, "clip_grad_norm_") else None


def clip_flat_shards_once(root: Any, clip_val: float | None, algorithm: str | None) -> Norms:
    """Do what `clip_gradients_once` does, for FSDP1: the norm is over the shards of all processes.

    Args:
        root: The outermost `FullyShardedDataParallel`; all processes must call this.
        clip_val: As in `clip_gradients_once`.
        algorithm: As in `clip_gradients_once`.
    """
    by_norm = bool(clip_val) and algorithm != "value"
    norm: Tensor = root.clip_grad_norm_(clip_val if by_norm else float("inf"))
    if clip_val and not by_norm:
        clip_grad_value_(root.parameters(), clip_val)
    return Norms(norm, norm)
