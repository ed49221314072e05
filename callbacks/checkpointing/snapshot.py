"""Copy a checkpoint's tensors to the CPU, so that it can be written while training goes on."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor


def snapshot(value: Any, buffers: list[Tensor] | None = None) -> Any:
    """Copy nested containers; a tensor that occurs twice is copied once.

    Args:
        value: Dicts, lists, tuples, tensors and plain values.
        buffers: Tensors of an earlier copy, overwritten where they fit: new memory takes longer than the copy. The
            list then holds the tensors of this copy.

    Example:
        >>> import torch
        >>> weight = torch.zeros(2)
        >>> copied = snapshot({"state": [weight, weight]})
        >>> weight.add_(1)
        tensor([1., 1.])
        >>> copied["state"][0], copied["state"][0] is copied["state"][1]
        (tensor([0., 0.]), True)
    """
    buffers = [] if buffers is None else buffers
    copies: dict[int, Tensor] = {}
    copied = _copy(value, copies, iter(list(buffers)))
    buffers[:] = copies.values()
    return copied


def _copy(value: Any, copies: dict[int, Tensor], buffers: Iterator[Tensor]) -> Any:
    if isinstance(value, Tensor):
        if id(value) not in copies:
            copies[id(value)] = _to_cpu(value.detach(), next(buffers, None))
        return copies[id(value)]
    if isinstance(value, Mapping):
        copied = {key: _copy(item, copies, buffers) for key, item in value.items()}
        return copied if type(value) is dict else _same_type(value, copied)
    if type(value) in (list, tuple, set):
        return type(value)(_copy(item, copies, buffers) for item in value)
    return value


def _to_cpu(source: Tensor, buffer: Tensor | None) -> Tensor:
    layout = (source.shape, source.dtype, source.stride())
    if buffer is not None and (buffer.shape, buffer.dtype, buffer.stride()) == layout:
        return buffer.copy_(source)
    return source.clone() if source.device.type == "cpu" else source.to("cpu")


def _same_type(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """Keep an ``OrderedDict`` one."""
    try:
        return type(original)(items)  # type: ignore[call-arg]
    except TypeError:
        return items
