"""Make a process ready to fork: what every fit imports, parses and draws once is there before the first fork."""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import tempfile
from unittest.mock import patch

import torch

from tests.phantom_gpu.build import ROOT

TORCH = ("torch", "torch._dynamo", "torch.distributed.fsdp", "lightning.pytorch", "torchvision", "torchmetrics")
PRELOADED = (
    *TORCH,
    "sklearn.datasets",
    "sklearn.metrics",
    "schedulefree",
    "timm.optim",
    "matplotlib.pyplot",
    "descent.training.command_line",
    "descent.training.build",
)


def warm_up() -> None:
    """Import what fits need and build a run without training it. CUDA stays untouched, so a fork finds it fresh."""
    for name in PRELOADED:
        importlib.import_module(name)
    from cli import main

    words = ["fit", "-c", f"{ROOT}/configs/quickstart.yaml", "--preflight=false", "--trainer.max_epochs=0"]
    with (
        patch.object(torch._C, "_cuda_getDeviceCount", lambda: 0),
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        before = dict(os.environ)
        with contextlib.suppress(SystemExit):
            main([*words, "--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false"])
        os.environ.clear()
        os.environ.update(before)
    gc.collect()
    gc.freeze()
