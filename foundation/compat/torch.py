"""Private parts of torch: optimizers, schedulers, batch norm, buffers, the processes' store, texts of its errors."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau


def processes_store() -> Any:
    """Return the store that the processes of the default group met through.

    `torch.distributed` makes it itself from the environment, and has no public way to ask for it; a second store would
    need a second port.
    """
    return dist.distributed_c10d._get_default_store()


# -- tensors -----------------------------------------------------------------------------------------------------------


def norms_of(tensors: list[Tensor]) -> list[Tensor]:
    """Return the 2-norm of each tensor; all of one device and dtype.

    The public `get_total_norm` sorts the tensors by device and dtype first: four times as long for a small network.
    """
    return list(torch._foreach_norm(tensors))


def multiply_in_place(tensors: list[Tensor], factor: Tensor | float | list[float] | list[Tensor]) -> None:
    """Multiply every tensor by a number or a tensor `()`, or each by its own; all of one device and dtype.

    See `norms_of` for the public way's cost.
    """
    torch._foreach_mul_(tensors, factor)  # type: ignore[call-overload]


def transforms_active() -> bool:
    """Return whether a transform of `torch.func` (`grad`, `vmap`, `jvp`, …) is at work.

    torch asks this private function itself where an operator has to behave in another way.
    """
    return bool(torch._C._are_functorch_transforms_active())  # type: ignore[attr-defined]


def raise_in_place(tensors: list[Tensor], low: float) -> None:
    """Raise every value of tensors that is below `low` to it; all of one device and dtype."""
    torch._foreach_clamp_min_(tensors, low)


def reciprocals_of(tensors: list[Tensor]) -> list[Tensor]:
    """Return the reciprocal of each tensor; all of one device and dtype."""
    return list(torch._foreach_reciprocal(tensors))


def sums_of(tensors: list[Tensor], others: list[Tensor], alpha: float = 1.0) -> list[Tensor]:
    """Return the sum of each tensor and `alpha` times its partner; all of one device and dtype.

    The public way is an addition for each, and so a launch for each on a GPU.
    """
    return list(torch._foreach_add(tensors, others, alpha=alpha))


def add_in_place(tensors: list[Tensor], others: list[Tensor]) -> None:
    """Add its partner to every tensor; all of one device and dtype."""
    torch._foreach_add_(tensors, others)


# -- modules -----------------------------------------------------------------------------------------------------------


MODULE_REGISTRIES = {"_parameters", "_buffers", "_modules"}
"""Attributes in which a module holds what is registered; the public iterators give the entries, not the attributes."""


def has_buffer(module: nn.Module, name: str) -> bool:
    """Return whether a buffer of that name is registered, also one that is `None`, which `named_buffers` leaves out."""
    return name in module._buffers


class BatchNormOfAnyShape(_BatchNorm):
    """Batch norm for tensors of any number of dimensions.

    The public classes each take one number of dimensions, except `SyncBatchNorm`, which refuses tensors on a CPU.
    """

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        pass


def is_batch_norm(module: nn.Module) -> bool:
    """Return whether the module is a batch norm layer; the class that all of them share is private."""
    return isinstance(module, _BatchNorm)


# -- optimizers --------------------------------------------------------------------------------------------------------


def unscales_in_its_step(optimizer: Optimizer) -> bool:
    """Return whether the optimizer unscales gradients inside its own step, as torch's fused ones do.

    `GradScaler` and Lightning read the same private attribute; there is no public one.
    """
    return bool(getattr(optimizer, "_step_supports_amp_scaling", False))


def leave_unscaling_to_the_scaler(optimizer: Optimizer) -> None:
    """Let a gradient scaler treat a fused optimizer as any other.

    A fused optimizer offers to unscale the gradients inside its step. Lightning then refuses to clip, even in
    bf16-mixed where nothing is scaled, and whether a step was skipped is known to the device alone. Withdrawn, the
    scaler unscales before the step and leaves it out after an overflow; the step is still fused.
    """
    if unscales_in_its_step(optimizer):
        optimizer._step_supports_amp_scaling = False  # type: ignore[attr-defined]


# -- schedulers --------------------------------------------------------------------------------------------------------

LAST_LR = "_last_lr"
"""Key of the state of every scheduler: the rates that `get_last_lr` returns, which torch gives no setter."""
STEP_COUNT = "_step_count"
"""Key of the state of every scheduler: how often `step` was called, by which torch warns of a wrong order."""
ONE_CYCLE_LENGTH = frozenset({"total_steps", "_schedule_phases"})
"""Keys of the state of `OneCycleLR` that follow from the length of the run, which cannot be changed in another way."""


def set_last_lr(scheduler: LRScheduler, rates: list[Any]) -> None:
    """Set what `scheduler.get_last_lr()` returns.

    torch sets it in `LRScheduler.step` only, which also asks `get_lr` and counts a step.
    """
    scheduler._last_lr = rates


class PlateauWithComparison(ReduceLROnPlateau):
    """A `ReduceLROnPlateau` that decides itself what an improvement is; torch's own has a private method for it."""

    def is_better(self, value: float, best: float) -> bool:
        """Return whether a value improves on the best one; overridden by a subclass."""
        return bool(super()._is_better(value, best))

    def _is_better(self, a: float, best: float) -> bool:
        return self.is_better(a, best)


def inner_schedulers(scheduler: LRScheduler) -> list[LRScheduler]:
    """Return the schedulers that a `SequentialLR` or `ChainedScheduler` was given; neither offers them publicly."""
    return list(getattr(scheduler, "_schedulers", []))


# -- TensorBoard -------------------------------------------------------------------------------------------------------


def write_summary(writer: Any, summary: Any) -> None:
    """Write a summary that is made already with a `SummaryWriter`.

    `add_hparams` would write the same summaries into a folder of their own, as a second run.
    """
    writer._get_file_writer().add_summary(summary)


# -- errors of the connection between processes ------------------------------------------------------------------------

PORT_IN_USE = r"port: (\d+),.*EADDRINUSE"
NO_ANSWER_FROM_MASTER = r"timed out after \d+ms while trying to connect to \(([^,]+), (\d+)\)"
PROCESSES_MISSING = r"waiting for clients\. (\d+)/(\d+) clients joined"
PROCESS_SILENT = r"gloo.*Timed out waiting|Watchdog caught collective operation timeout|wait timeout after \d+ms"
PROCESS_GONE = (
    r"gloo.*(Connection (closed|reset) by peer|Broken pipe|Socket closed|Software caused|connect)"
    r"|NCCL.*(remote process exited|ncclRemoteError|Connection|aborted)"
    r"|Connection was likely closed|Broken pipe|Connection reset by peer|failed to recv"
)
"""Patterns of what torch raises, as `RuntimeError` without a code, when processes do not find or lose each other."""


# -- files -------------------------------------------------------------------------------------------------------------


def begins_like_torch(start: bytes) -> bool:
    """Return whether a file that begins so may be one of `torch.save`: a zip archive, or a pickle of earlier versions.

    Anything else would be read as instructions for the unpickler, which then fails in any way.
    """
    return start.startswith((b"PK", b"\x80"))
