"""Outputs of a network whose weights themselves are in 16 bits (`precision: bf16-true` or `16-true`)."""

import torch
from torch import Tensor

HALF = (torch.bfloat16, torch.float16)


def out_of_half(output: Tensor) -> Tensor:
    """Return an output in float32 if 16-bit weights made it, so that loss and metrics are computed in float32.

    Under autocast (`bf16-mixed`, `16-mixed`) it stays as it is: autocast itself computes losses in float32.

    Example:
        >>> out_of_half(torch.ones(2, dtype=torch.bfloat16)).dtype, out_of_half(torch.ones(2).double()).dtype
        (torch.float32, torch.float64)
    """
    if output.dtype in HALF and not torch.is_autocast_enabled(output.device.type):
        return output.float()
    return output


def exact_for_loss(output: Tensor) -> Tensor:
    """Return an output in float32 for the loss if it is 16-bit and on a GPU.

    Autocast of a CPU computes every loss in float32. That of CUDA leaves cross-entropy its dtype, and torch then rounds
    the log-probabilities to 16 bit: in bfloat16 an error of 0.3 %.
    """
    return output.float() if output.dtype in HALF and output.is_cuda else output
