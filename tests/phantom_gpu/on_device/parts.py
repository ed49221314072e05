"""What Descent adds to a training step, part by part, and how many launches each may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from datamodules import CropFlip, CutMix, Cutout, MixUp
from datamodules.augmentations.mixing import soft_targets
from datamodules.memory.normalisation import Normaliser, Statistics
from lightning_modules.base.epoch_means import EpochMeans
from lightning_modules.networks import SmallCNN
from lightning_modules.optimizers import NormalisedMuon
from lightning_modules.optimizers.clipping import clip_gradients_once
from tests.phantom_gpu import device

Part = tuple[Callable[[], Any], int]
SAMPLES = 64


def parts() -> dict[str, Part]:
    """Return functions that do one part of a step on a batch, and the most launches that each may have."""
    images = torch.randint(0, 256, (SAMPLES, 32, 32, 3), dtype=torch.uint8).cuda().permute(0, 3, 1, 2)
    rows, targets = torch.arange(SAMPLES).cuda(), (torch.arange(SAMPLES) % 10).cuda()
    normaliser = Normaliser(Statistics((0.5,) * 3, (0.25,) * 3))
    pixels = normaliser(images)
    network = SmallCNN(10, 3).cuda().to(memory_format=torch.channels_last)
    weights = list(network.parameters())
    muon = NormalisedMuon(weights)
    nn.functional.cross_entropy(network(pixels), targets).backward()
    means, value, soft = EpochMeans(), torch.ones((), device="cuda"), soft_targets(targets, 10)
    crop_flip, alternating, cutout, mix_up, cut_mix = (
        augmentation.for_samples(SAMPLES)
        for augmentation in (CropFlip(2), CropFlip(2, flip="alternating"), Cutout(), MixUp(1.0), CutMix(1.0))
    )
    return {
        "CropFlip": (lambda: crop_flip(images, rows, 0, 0), 8),
        "CropFlip, alternating": (lambda: alternating(images, rows, 0, 0), 8),
        "Cutout": (lambda: cutout(images, rows, 0, 0), 8),
        "MixUp": (lambda: mix_up.mix(pixels, soft, rows, 0, 0), 12),
        "CutMix": (lambda: cut_mix.mix(pixels, soft, rows, 0, 0), 24),
        "normalisation": (lambda: normaliser(images), 4),
        "clipping, with the norm": (lambda: clip_gradients_once(weights, 1.0, "norm"), 12),
        "loss and accuracy of the epoch": (lambda: means.update(SAMPLES, loss=value, accuracy=value), 4),
        "NormalisedMuon": (muon.step, 130),
    }


def asked(function: Callable[[], Any]) -> dict[str, int]:
    """Return how often a function, at its third call, asks the device for each kind of thing."""
    function()
    function()
    before = device.counts()
    function()
    after = device.counts()
    return {kind: after[kind] - before[kind] for kind in after}
