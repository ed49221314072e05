"""Peak FLOP/s and memory bandwidth of this machine, measured now."""

import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def peak_flops(device: torch.device, dtype: str, seconds: float = 0.3) -> dict[str, float]:
    r"""Measure the FLOP/s of a matrix product and of a 3 × 3 convolution; of several repeats the fastest counts.

    The product of two $n \times n$ matrices is counted as $2 n^3$, the convolution as
    $2 \cdot 9 \cdot C_\text{in} C_\text{out}$ for each pixel of its output.

    Args:
        device: Device to measure.
        dtype: `fp32`, `bf16` or `fp16`.
        seconds: Time for each of the two, > 0.

    Example:
        >>> found = peak_flops(torch.device("cpu"), "fp32", seconds=0.01)
        >>> sorted(found), min(found.values()) > 1e6
        (['convolution', 'matrix product'], True)
    """
    kind, size, batch = DTYPES[dtype], *((1024, 64) if device.type == "cpu" else (8192, 1024))
    left, right = torch.randn(2, size, size, device=device).to(kind)
    images = torch.randn(batch, 64, 16, 16, device=device).to(kind, memory_format=torch.channels_last)
    weights = torch.randn(256, 64, 3, 3, device=device).to(kind, memory_format=torch.channels_last)
    with torch.no_grad():
        product = _fastest(lambda: left @ right, device, seconds)
        convolution = _fastest(lambda: conv2d(images, weights, padding=1), device, seconds)
    return {
        "matrix product": 2 * size**3 / product,
        "convolution": 2 * 9 * 64 * 256 * batch * 16**2 / convolution,
    }


def memory_bandwidth(seconds: float = 0.3) -> float:
    """Measure how many bytes per second the CPU copies; bytes read and bytes written both count."""
    source = torch.ones(2**25)
    target = torch.empty_like(source)
    return 2 * 4 * 2**25 / _fastest(lambda: target.copy_(source), torch.device("cpu"), seconds)


def _fastest(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Seconds of the fastest repeat."""
    best, end = float("inf"), time.perf_counter() + seconds
    for number in range(10_000):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        best = min(best, now - start)
        if now > end and number >= 2:
            break
    return best
