"""Batch norm over the batches of all processes, which also works on a CPU, unlike torch's."""

from typing import Any, cast

import torch
import torch.distributed as dist
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from foundation.compat.torch import BatchNormOfAnyShape, is_batch_norm
from foundation.errors import UserError
from lightning_modules.losses.reduction import as_float32


class GatheredBatchNorm(BatchNormOfAnyShape):
    r"""Batch norm with the mean and variance over the batches of all processes.

    With $n_r$ values per channel on process $r$, $\mu = \frac{1}{n} \sum_r \sum_i x_{ri}$ and
    $\sigma^2 = \frac{1}{n} \sum_r \sum_i (x_{ri} - \mu)^2$. These are two sums over the processes; a single one, for
    the mean of squares minus the square of the mean, would lose half of the digits. torch's `SyncBatchNorm` does not
    accept tensors on a CPU.

    The sums are float32 also for half precision, as in torch's layers, and the output has the input's dtype.

    Shape:
        `(B, C, …)` → `(B, C, …)`
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise a batch; in evaluation, and in a single process, as ordinary batch norm."""
        measures = self.training or self.running_mean is None
        if not measures or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        dtype, input = input.dtype, as_float32(input)  # noqa: A001
        axes = [0, *range(2, input.ndim)]
        shape = [1, -1, *[1] * (input.ndim - 2)]
        count = torch.tensor([float(input.numel() // input.shape[1])], dtype=input.dtype, device=input.device)
        total, count = _summed(torch.cat([input.sum(axes), count])).split([input.shape[1], 1])
        mean = total / count
        centred = input - mean.view(shape)
        variance = _summed(centred.square().sum(axes)) / count
        self._update_running_statistics(mean.detach(), variance.detach(), count.detach())
        output = centred * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            output = output * self.weight.view(shape) + self.bias.view(shape)
        return output.to(dtype)

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        unbiased = variance * count / (count - 1)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)


class GatheredBatchNormAct(GatheredBatchNorm):
    """The same for timm's `BatchNormAct2d`, which also applies `drop` and the activation `act`."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        """Normalise a batch and apply the activation."""
        return cast(Tensor, self.act(self.drop(super().forward(input))))


def gathered_class(layer: nn.Module) -> type[GatheredBatchNorm]:
    """Return the class that a batch norm layer is given.

    Raises:
        UserError: The layer's class has a forward pass of its own, which would be lost.
    """
    kind = type(layer)
    if isinstance(getattr(layer, "act", None), nn.Module) and isinstance(getattr(layer, "drop", None), nn.Module):
        return GatheredBatchNormAct
    if kind.forward is not nn.BatchNorm2d.forward:
        raise UserError(
            f"sync_batchnorm: {kind.__name__} is a batch norm with a forward pass of its own, which a synchronised "
            "layer would not have: remove --trainer.sync_batchnorm, or use torch's BatchNorm layers."
        )
    return GatheredBatchNorm


def _summed(tensor: Tensor) -> Tensor:
    summed: Tensor = all_reduce(tensor)  # differentiable: it also sums the gradients
    return summed


class BatchNormSync(TorchSyncBatchNorm):
    """Implement `--trainer.sync_batchnorm true`: torch's `SyncBatchNorm` on a GPU, `GatheredBatchNorm` on a CPU.

    A network with timm's `BatchNormAct2d` gets `GatheredBatchNorm` on a GPU too.
    """

    def __init__(self) -> None:
        self.original_classes: dict[nn.Module, type[nn.Module]] = {}

    def apply(self, model: Any) -> Any:
        """Synchronise every batch norm layer of a module."""
        synced = (GatheredBatchNorm, nn.SyncBatchNorm)
        layers = [layer for layer in model.modules() if is_batch_norm(layer) and not isinstance(layer, synced)]
        classes = [gathered_class(layer) for layer in layers]
        if model.trainer.strategy.root_device.type != "cpu" and GatheredBatchNormAct not in classes:
            return super().apply(model)
        for layer, kind in zip(layers, classes, strict=True):  # torch's would lose timm's activations
            self.original_classes[layer] = type(layer)
            layer.__class__ = kind
        return model

    def revert(self, model: Any) -> Any:
        """Restore the original layers."""
        if not self.original_classes:
            return super().revert(model)
        for layer, kind in self.original_classes.items():
            layer.__class__ = kind
        self.original_classes = {}
        return model
