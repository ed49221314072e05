"""3×3 convolutions whose weight gradient is fast on CPUs with AMX: small feature maps lie side by side in wide rows."""

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from foundation.hardware import cpu_flags
from foundation.processes import say

MAX_WIDTH = 8  # feature maps up to this wide gain; at 15 the copies cost what is won
ROW_WIDTH = 80  # pixels of a row that is put together

Network = TypeVar("Network", bound=nn.Module)


class AMXConv2d(nn.Conv2d):
    r"""A 3×3 convolution of stride 1 and padding 1 whose weight gradient takes rows of about 80 pixels.

    $$\frac{\partial L}{\partial W_{dy,dx}} = \sum_{b,y,x} g_{b,y,x}\, h_{b,y+dy,x+dx}^\top$$

    is a sum over images, so k of them may lie side by side in one, with a column of zeros after each, in which g is
    zero too: no product is added or lost. oneDNN's AMX kernel sums along a row in tiles of 32 values, and a feature map
    7 or 3 pixels wide leaves most of a tile empty. The result is that of `nn.Conv2d` but for the order of the sum.

    The wide rows are used only where they help: while training on a CPU that has AMX, in bf16 (autocast, or bf16
    inputs), for feature maps up to 8 pixels wide. Everywhere else, a GPU above all, this is `nn.Conv2d`. torch refuses
    second derivatives where they are used.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Convolve."""
        if not self._gains(inputs):
            return super().forward(inputs)
        output: Tensor = _WideRows.apply(inputs.bfloat16(), self.weight.bfloat16())  # type: ignore[no-untyped-call]
        return output if self.bias is None else output + self.bias.bfloat16().view(-1, 1, 1)

    def _gains(self, inputs: Tensor) -> bool:
        return (
            self.weight.requires_grad
            and torch.is_grad_enabled()
            and inputs.ndim == 4
            and inputs.device.type == "cpu"
            and inputs.shape[3] <= MAX_WIDTH
            and computes_in_bf16(inputs)
            and cpu_has_amx()
        )


def use_amx_convolution(network: Network) -> Network:
    """Make every fitting `nn.Conv2d` of a network an `AMXConv2d`, in place; return the network.

    Fitting are 3×3 convolutions of stride, padding and dilation 1, without groups, padded with zeros. Weights and the
    keys of `state_dict` stay as they are.

    Example:
        >>> use_amx_convolution(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 1)))
        Sequential(
          (0): AMXConv2d(4, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
          (1): Conv2d(4, 4, kernel_size=(1, 1), stride=(1, 1))
        )
    """
    for conv in _fitting(network):
        conv.__class__ = AMXConv2d
    return network


def use_amx_in_bf16(network: nn.Module, device: torch.device, precision: str) -> None:
    """Call `use_amx_convolution`, and say so, for a network that offers it and a run that computes in bf16 with AMX.

    Args:
        network: One whose class sets `amx_convolution = True`; every other stays as it is.
        device: That the run trains on; nothing happens on another than the CPU.
        precision: The trainer's, such as `"bf16-mixed"`.
    """
    if getattr(network, "amx_convolution", False) and device.type == "cpu" and "bf16" in precision and cpu_has_amx():
        count = plain_convolutions(network)
        use_amx_convolution(network)
        if count:
            _say_it(count)


@cache
def _say_it(count: int) -> None:
    say(f"{count} 3×3 convolutions are AMXConv2d in this run: the CPU has AMX, and the precision is bf16.")


def plain_convolutions(network: nn.Module) -> int:
    """Count the convolutions that `use_amx_convolution` would change."""
    return sum(1 for _ in _fitting(network))


def _fitting(network: nn.Module) -> Iterator[nn.Conv2d]:
    return (module for module in network.modules() if type(module) is nn.Conv2d and _fits(module))


def _fits(conv: nn.Conv2d) -> bool:
    plain = conv.stride == conv.padding == conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    return plain and conv.kernel_size == (3, 3) and conv.groups == 1


def computes_in_bf16(inputs: Tensor) -> bool:
    """Return whether a convolution of these inputs is one of bf16."""
    if torch.is_autocast_enabled("cpu"):
        return torch.get_autocast_dtype("cpu") == torch.bfloat16
    return inputs.dtype == torch.bfloat16


@cache
def cpu_has_amx() -> bool:
    """Return whether the CPU has AMX instructions for bf16."""
    return "amx_bf16" in cpu_flags()


class _WideRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        return F.conv2d(inputs, weight, padding=1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        inputs, weight = ctx.saved_tensors
        of_inputs = _gradient(gradient, inputs, weight, 0) if ctx.needs_input_grad[0] else None
        return of_inputs, _gradient(side_by_side(gradient), side_by_side(inputs), weight, 1)


def _gradient(gradient: Tensor, inputs: Tensor, weight: Tensor, which: int) -> Tensor:
    wanted = [number == which for number in range(3)]
    found = torch.ops.aten.convolution_backward(
        gradient, inputs, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
    )
    return found[which]  # type: ignore[no-any-return]


def side_by_side(maps: Tensor, row_width: int = ROW_WIDTH) -> Tensor:
    """Lay maps in rows of about `row_width` pixels, a column of zeros after each; the last row is filled up with zeros.

    Shape:
        `(B, C, H, W)` → `(⌈B / k⌉, C, H, k (W + 1))`, channels_last, with k = `row_width` / (W + 1), rounded, ≥ 1.

    Example:
        >>> side_by_side(torch.ones(3, 1, 1, 2), row_width=6)
        tensor([[[[1., 1., 0., 1., 1., 0.]]],
        <BLANKLINE>
        <BLANKLINE>
                [[[1., 1., 0., 0., 0., 0.]]]])
    """
    count, channels, height, width = maps.shape
    each = max(1, round(row_width / (width + 1)))
    rows, rest = -(-count // each), count % each
    laid = maps.new_zeros(rows, height, each, width + 1, channels)
    pixels = maps.permute(0, 2, 3, 1)
    full = pixels[: count - rest].reshape(count // each, each, height, width, channels)
    laid[: len(full), :, :, :width] = full.transpose(1, 2)
    if rest:
        laid[-1, :, :rest, :width] = pixels[count - rest :].transpose(0, 1)
    return laid.flatten(2, 3).permute(0, 3, 1, 2)
