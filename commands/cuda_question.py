"""Whether there is a GPU, asked cheaply where there is none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.accelerators.cuda import num_cuda_devices

SWITCH = "PYTORCH_NVML_BASED_CUDA_CHECK"


@contextmanager
def cuda_asked_once() -> Iterator[None]:
    """Without a GPU, have torch remember that there is none.

    Every `optimizer.step` of torch asks whether a GPU is there. Lightning has it ask NVML, so that asking does not
    start CUDA before a fork; where no driver is installed, NVML is looked for on the disk each time (30 to 100 µs).
    Where there is no GPU nothing can be started, and the other way takes half a microsecond.
    """
    before = os.environ.get(SWITCH)
    if before is None or num_cuda_devices() > 0:
        yield
        return
    del os.environ[SWITCH]
    try:
        yield
    finally:
        os.environ[SWITCH] = before
