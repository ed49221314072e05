"""Real values on the phantom GPU: what is asked of the device is computed by the CPU, on the same memory.

`RealValues` is a dispatch mode. It gives every operation on CUDA tensors to torch's CPU kernels, with CPU tensors over the
same memory, and then to CUDA's host code as well, so that device checks, allocations, launches and streams stay real.
Copies between host and device are left to CUDA's host code alone: the driver makes them, now or later.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from tests.phantom_gpu.device import library

aten = torch.ops.aten
CPU = torch.device("cpu")
PLAIN = (Tensor, torch.nn.Parameter, torch.nn.Buffer)
Outcome = Any

UNCHANGED = {
    "detach",
    "record_stream",
    "set_",
    "resize_",
    "_pin_memory",
    "is_pinned",
    "_local_scalar_dense",
    "lift_fresh",
}
UNCHANGED |= {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_resize_output_"}
"""Operations whose values, if they have any, the driver's copies bring."""
BY_VALUE = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "repeat_interleave"}
"""Operations whose result has a size that depends on values: CUDA's host code reads it, with one synchronisation."""


def on_host(tensor: Tensor) -> Tensor:
    """Return a CPU tensor over the memory of a CUDA tensor."""
    storage = tensor.untyped_storage()
    if not storage.nbytes():
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    same = torch._C._construct_storage_from_data_pointer(storage.data_ptr(), CPU, storage.nbytes())
    return torch.empty(0, dtype=tensor.dtype).set_(same, tensor.storage_offset(), tensor.shape, tensor.stride())


def on_device(tensor: Tensor) -> Tensor:
    """Return a CUDA tensor with these values, without a copy that the driver would count."""
    made = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")
    if tensor.numel():
        on_host(made).copy_(tensor)
    return made


def _float(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.float()


def batch_norm(
    x: Tensor, weight: Any, bias: Any, mean: Tensor | None, variance: Tensor | None, training: bool, momentum: float, eps: float
) -> Outcome:  # fmt: skip
    running = (_float(mean), _float(variance))
    out, mean_, invstd = torch.native_batch_norm(
        x.float(), _float(weight), _float(bias), running[0], running[1], training, momentum, eps
    )
    for mine, theirs in zip(running, (mean, variance), strict=True):
        if mine is not theirs and mine is not None and theirs is not None:
            theirs.copy_(mine)
    return out.to(x.dtype), mean_, invstd, None  # the last: what cuDNN keeps for the backward pass


def batch_norm_backward(
    x: Tensor, slope: Tensor, weight: Tensor, mean: Any, variance: Any, saved: Any, invstd: Any, eps: float, reserve: Any
) -> Outcome:  # fmt: skip
    slopes = aten.native_batch_norm_backward(
        slope.float(), x.float(), weight.float(), _float(mean), _float(variance), saved, invstd, True, eps, [True] * 3
    )
    return slopes[0].to(x.dtype), slopes[1].to(weight.dtype), slopes[2].to(weight.dtype)


def native_batch_norm_backward(
    slope: Tensor, x: Tensor, weight: Any, mean: Any, variance: Any, saved: Any, invstd: Any, training: bool, eps: float, mask: Any
) -> Outcome:  # fmt: skip
    others = (_float(tensor) for tensor in (weight, mean, variance, saved, invstd))
    slopes = aten.native_batch_norm_backward(slope.float(), x.float(), *others, training, eps, mask)
    return slopes[0].to(x.dtype), slopes[1], slopes[2]


def log_softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return torch._log_softmax(x.float() if half_to_float else x, dim, False)


def softmax(x: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return torch._softmax(x.float() if half_to_float else x, dim, False)


def log_sigmoid(x: Tensor) -> Outcome:
    return aten.log_sigmoid_forward(x)[0], None  # CUDA keeps no buffer


def log_sigmoid_backward(slope: Tensor, x: Tensor, buffer: Tensor) -> Tensor:
    result: Tensor = aten.log_sigmoid_backward(slope, x, x.abs().neg().exp())
    return result


ELSEWHERE: dict[str, Callable[..., Outcome]] = {
    "aten::cudnn_batch_norm": batch_norm,
    "aten::cudnn_batch_norm_backward": batch_norm_backward,
    "aten::native_batch_norm_backward": native_batch_norm_backward,
    "aten::log_sigmoid_forward": log_sigmoid,
    "aten::log_sigmoid_backward": log_sigmoid_backward,
    "aten::_log_softmax": log_softmax,
    "aten::_softmax": softmax,
}
"""What the CPU has under another name, or only for other types."""


class RealValues(TorchDispatchMode):
    """Compute what the device is asked for. `failed` counts the operations that the CPU could not do: see it empty."""

    failed: ClassVar[collections.Counter[tuple[str, str]]] = collections.Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Outcome:
        kwargs = kwargs or {}
        if any(issubclass(kind, FakeTensor) for kind in types) or _fake_mode() is not None:
            return func(*args, **kwargs)  # shapes alone, of an export or of a DTensor's sharding
        if any(kind not in PLAIN for kind in types):
            return NotImplemented  # DTensor and others call again with plain tensors
        if not (_has_cuda(args) or _has_cuda(kwargs.values())) or "c10d" in func.namespace:
            return func(*args, **kwargs)
        if _has_parts(func):  # in inference mode composite operations come here whole
            with self:
                return func.decompose(*args, **kwargs)
        name = func._schema.name.partition("::")[2]
        if name in UNCHANGED or func.is_view:
            return func(*args, **kwargs)
        library().phantom_arrive(torch.cuda.current_stream().cuda_stream)
        if name in ("_to_copy", "copy_") and not _within_device(func, args, kwargs):
            return _transfer(func, args, kwargs)
        return self.compute(func, name, *pytree.tree_flatten((args, kwargs)))

    def compute(self, func: Any, name: str, flat: list[Any], spec: Any) -> Outcome:
        args, kwargs = pytree.tree_unflatten(flat, spec)
        by_value = name in BY_VALUE or (name.startswith(("index", "_index")) and any(map(_is_mask, flat[1:])))
        before = _random_state(flat) if torch.Tag.nondeterministic_seeded in func.tags else None
        try:
            host = _host_result(func, flat, spec, before)
        except Exception as error:
            self.failed[func._schema.name, str(error)[:200]] += 1
            return func(*args, **kwargs)
        if by_value:
            _read_one(flat)
            return (
                pytree.tree_map(lambda made: on_device(made) if isinstance(made, Tensor) else made, host)
                if "_put" not in name
                else flat[0]
            )
        out = func(*args, **kwargs)
        if not isinstance(out, (Tensor, tuple, list)):
            return host
        given = {word.untyped_storage().data_ptr() for word in flat if isinstance(word, Tensor)}
        for real, right in zip(pytree.tree_leaves(out), pytree.tree_leaves(host), strict=True):
            if isinstance(right, Tensor) and right.numel() and real.untyped_storage().data_ptr() not in given:
                (on_host(real) if real.is_cuda else real).copy_(right)
        return out


def _fake_mode() -> Any:
    return torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)


def _is_cuda(word: Any) -> bool:
    return (isinstance(word, Tensor) and word.is_cuda) or (isinstance(word, torch.device) and word.type == "cuda")


def _has_cuda(words: Any) -> bool:
    return any(_has_cuda(word) if type(word) in (list, tuple) else _is_cuda(word) for word in words)


@cache
def _has_parts(func: Any) -> bool:
    """Return whether `func.decompose` gives something."""
    key = torch._C.DispatchKey.CompositeImplicitAutograd
    return key in func.py_kernels or torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key)


def _is_mask(word: Any) -> bool:
    return isinstance(word, Tensor) and word.dtype == torch.bool


def _within_device(func: Any, args: Any, kwargs: Any) -> bool:
    if func is aten.copy_.default:
        return bool(args[0].is_cuda and args[1].is_cuda)
    device = kwargs.get("device")
    return bool(args[0].is_cuda and (device is None or torch.device(device).type == "cuda"))


def _transfer(func: Any, args: Any, kwargs: Any) -> Outcome:
    """Let the driver copy. Where CUDA first runs a kernel, for another dtype or layout, the CPU does what it would do."""
    out = func(*args, **kwargs)
    source = args[1] if func is aten.copy_.default else args[0]
    same = (
        out.dtype == source.dtype and out.stride() == source.stride() and out.is_contiguous() == source.is_contiguous()
    )
    dense = out.is_contiguous() or out.is_contiguous(memory_format=torch.channels_last)
    if not (same and dense) and out.numel():
        (on_host(out) if out.is_cuda else out).copy_(on_host(source) if source.is_cuda else source)
    return out


def _random_state(flat: list[Any]) -> int:
    """Return a number that follows from the state of the device's generator, which the real call moves on."""
    given = next((word for word in flat if isinstance(word, torch.Generator)), None)
    generator = given or torch.cuda.default_generators[torch.cuda.current_device()]
    return (generator.initial_seed() * 1_000_003 + generator.get_offset()) % 2**63


def _host_result(func: Any, flat: list[Any], spec: Any, seed: int | None) -> Outcome:
    words = [_word(word) for word in flat]
    args, kwargs = pytree.tree_unflatten(words, spec)
    kwargs.pop("pin_memory", None)
    if func is aten._to_copy.default:
        kwargs.pop("non_blocking", None)
    function = ELSEWHERE.get(func._schema.name, func)
    if seed is None:
        return function(*args, **kwargs)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return function(*args, **kwargs)


def _word(word: Any) -> Any:
    if isinstance(word, Tensor):
        return on_host(word) if word.is_cuda else word
    if isinstance(word, torch.Generator):
        return None
    return CPU if _is_cuda(word) else word


def _read_one(flat: list[Any]) -> None:
    """Synchronise once, as CUDA's host code does to learn the size of the result."""
    tensor = next(word for word in flat if isinstance(word, Tensor) and word.is_cuda)
    if tensor.numel():
        aten._local_scalar_dense.default(tensor.reshape(-1)[0])
