"""Bring the values that a step logs to the host in one copy.

`log_dict` makes a tensor on the device for every number, and reads each tensor by itself: three copies and three waits
of the host a value. Tensors on the CPU pass through it without a copy.
"""

import functools
from collections.abc import Mapping

import torch
from torch import Tensor


def on_host(values: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
    """Return scalars as CPU tensors, for `log_dict`; the host waits once if some of them are on a device, else never.

    Args:
        values: Names and scalars; numbers become tensors of the default dtype, as in `log_dict`.
    """
    tensors = {name: value.detach() for name, value in values.items() if isinstance(value, Tensor)}
    away = {name: tensor for name, tensor in tensors.items() if tensor.device.type != "cpu"}
    if away:
        dtype = functools.reduce(torch.promote_types, (tensor.dtype for tensor in away.values()))
        read = torch.stack([tensor.reshape(()).to(dtype) for tensor in away.values()]).cpu()
        tensors |= dict(zip(away, read.unbind(), strict=True))
    number = torch.get_default_dtype()
    return {
        name: tensors[name] if name in tensors else torch.tensor(value, dtype=number) for name, value in values.items()
    }
