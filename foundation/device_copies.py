"""Copies to a device that do not make the host wait for it."""

import torch
from torch import Tensor


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a small tensor of the host to the device without waiting for it.

    A copy of ordinary memory makes the host wait until the GPU has finished all it was given before. From pinned
    memory, which the allocator reuses, the copy takes its turn.
    """
    if device.type == "cuda" and tensor.is_cpu:
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
