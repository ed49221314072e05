"""Small data sets with a network and a loss: those that the finder was tuned on, and those that were held out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn import datasets  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.lr_problems import networks

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Task:
    """Training and validation data, the network, and the loss."""

    train: Pair
    validation: Pair
    network: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]


def split(inputs: Any, targets: Any, validation: int, network: Callable[[], nn.Module], loss: Any) -> Task:
    """Shuffle by a fixed seed, and hold out the last rows."""
    inputs = torch.as_tensor(np.asarray(inputs), dtype=torch.float32) if not isinstance(inputs, Tensor) else inputs
    targets = torch.as_tensor(np.asarray(targets)) if not isinstance(targets, Tensor) else targets
    if targets.is_floating_point():
        targets = targets.float()
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(0))
    inputs, targets = inputs[order], targets[order]
    return Task(
        (inputs[:-validation], targets[:-validation]), (inputs[-validation:], targets[-validation:]), network, loss
    )


def standard(values: Any) -> Tensor:
    """Return columns with mean 0 and standard deviation 1."""
    tensor = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    return (tensor - tensor.mean(0)) / tensor.std(0).clamp(min=1e-6)


def squared(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of one output."""
    return functional.mse_loss(output.reshape(target.shape), target)


def dice(output: Tensor, target: Tensor) -> Tensor:
    """Return the soft Dice loss of the positive class, over the batch."""
    probability, positive = output.squeeze(1).sigmoid(), target.float()
    return 1 - (2 * (probability * positive).sum() + 1) / (probability.sum() + positive.sum() + 1)


def binary(output: Tensor, target: Tensor) -> Tensor:
    """Return the binary cross-entropy of logits."""
    return functional.binary_cross_entropy_with_logits(output.reshape(target.shape), target.float())


def shapes(size: int, count: int, seed: int) -> Pair:
    """Draw one or two discs of random brightness on noise; the target is 1 in the discs."""
    generator = torch.Generator().manual_seed(seed)
    across = torch.arange(size).float()
    masks = torch.zeros(count, size, size)
    for _ in range(2):
        x, y = torch.rand(2, count, 1, 1, generator=generator) * size
        radius = 1.5 + torch.rand(count, 1, 1, generator=generator) * size / 5
        masks = torch.maximum(
            masks, (((across[None, None] - x) ** 2 + (across[None, :, None] - y) ** 2) < radius**2).float()
        )
    brightness = 0.5 + torch.rand(count, 1, 1, generator=generator)
    images = masks * brightness + 0.4 * torch.randn(count, size, size, generator=generator)
    return images[:, None], masks.long()


def teacher(scale: float) -> Pair:
    """Regress a random network's output; inputs are multiplied by `scale`."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(1200, 16, generator=generator)
    hidden = torch.tanh(inputs @ torch.randn(16, 8, generator=generator) / 2)
    targets = hidden @ torch.randn(8, generator=generator) + 0.2 * torch.randn(1200, generator=generator)
    return inputs * scale, targets


def spirals() -> Pair:
    """Three arms of a spiral in the plane."""
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(1200) % 3
    radius = torch.rand(1200, generator=generator)
    angle = 3 * radius + labels * 2 * math.pi / 3 + 0.15 * torch.randn(1200, generator=generator)
    return 2 * torch.stack([radius * angle.cos(), radius * angle.sin()], 1), labels


def tokens() -> Pair:
    """Sequences of 10 of 8 tokens; the class is the most frequent of them."""
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randint(0, 8, (1600, 10), generator=generator)
    counts = functional.one_hot(inputs, 8).sum(1)
    return inputs, counts.argmax(1)


def adding() -> Pair:
    """Sum the two marked numbers of a sequence of 8."""
    generator = torch.Generator().manual_seed(4)
    values = torch.rand(1400, 8, generator=generator)
    marked = torch.rand(1400, 8, generator=generator).argsort(1) < 2
    return torch.stack([values, marked.float()], 2), (values * marked).sum(1)


def _digits(form: str) -> Pair:
    images, labels = datasets.load_digits(return_X_y=True)
    inputs = torch.as_tensor(images / 16, dtype=torch.float32)
    labels = torch.as_tensor(labels)
    if form == "attributes":
        loops = torch.isin(labels, torch.tensor([0, 6, 8, 9]))
        return 0.01 * inputs, torch.stack([labels % 2 == 0, labels > 4, loops], 1)
    if form == "itself":
        return inputs, inputs
    return (inputs.view(-1, 1, 8, 8) if form == "images" else inputs), labels


def _table(load: Callable[..., Any]) -> Pair:
    inputs, targets = load(return_X_y=True)
    return standard(inputs), torch.as_tensor(targets)


def _regression(pair: tuple[Any, Any]) -> Pair:
    inputs, targets = pair
    return standard(inputs), standard(targets)


CROSS_ENTROPY = functional.cross_entropy
TUNED: dict[str, Callable[[], Task]] = {
    "digits": lambda: split(*_digits("rows"), 360, lambda: networks.mlp(64, 64, 10), CROSS_ENTROPY),
    "digits, CNN": lambda: split(*_digits("images"), 360, networks.cnn, CROSS_ENTROPY),
    "digits, batch norm": lambda: split(
        *_digits("rows"), 360, lambda: networks.deep(64, 32, 10, nn.BatchNorm1d), CROSS_ENTROPY
    ),
    "diabetes": lambda: split(
        *_regression(datasets.load_diabetes(return_X_y=True)), 110, lambda: networks.mlp(10, 32, 1), squared
    ),
    "shapes, Dice": lambda: split(*shapes(12, 500, 5), 150, lambda: networks.segmenter(6), dice),
    "inputs × 1000": lambda: split(*teacher(1000.0), 240, lambda: networks.mlp(16, 32, 1), squared),
}  # fmt: skip
HELD_OUT: dict[str, Callable[[], Task]] = {
    "breast cancer, layer norm": lambda: split(
        *_table(datasets.load_breast_cancer), 140, lambda: networks.deep(30, 24, 1, nn.LayerNorm), binary
    ),
    "wine, tanh": lambda: split(*_table(datasets.load_wine), 50, lambda: networks.tanh(13, 16, 3), CROSS_ENTROPY),
    "Friedman, SiLU": lambda: split(
        *_regression(datasets.make_friedman1(1200, noise=1.0, random_state=0)),
        240,
        lambda: networks.silu(10, 32, 1),
        squared,
    ),
    "digits, autoencoder": lambda: split(*_digits("itself"), 360, networks.autoencoder, functional.mse_loss),
    "spirals": lambda: split(*spirals(), 300, lambda: networks.deep(2, 32, 3, None), CROSS_ENTROPY),
    "tokens, transformer": lambda: split(*tokens(), 400, networks.Transformer, CROSS_ENTROPY),
    "adding, GRU": lambda: split(*adding(), 300, networks.Recurrent, squared),
    "digits, residual": lambda: split(*_digits("images"), 360, networks.Residual, CROSS_ENTROPY),
    "discs, cross-entropy": lambda: split(*shapes(10, 500, 6), 150, lambda: networks.segmenter(4), binary),
    "attributes, inputs × 0.01": lambda: split(*_digits("attributes"), 360, lambda: networks.mlp(64, 48, 3), binary),
}  # fmt: skip


@cache
def task(name: str) -> Task:
    """Return a task by its name."""
    return (TUNED | HELD_OUT)[name]()
