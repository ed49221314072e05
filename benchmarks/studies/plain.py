"""A small network on the digits, trained by a plain loop in hundredths of a second."""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

MOMENTUM, BATCH, VAL_SHARE = 0.9, 64, 0.25


class TinyNetwork(nn.Module):
    """A network of one hidden layer for the digits.

    Args:
        stream: Number of the part of the random numbers that the weights are drawn from.
        width: Hidden units.
    """

    def __init__(self, stream: int = 0, width: int = 12) -> None:
        super().__init__()
        torch.rand(10_000 * stream)  # more than the network has weights
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.layers(images)  # type: ignore[no-any-return]


class Trained(NamedTuple):
    """What a run found."""

    scores: list[float]
    """Validation accuracy after each epoch."""
    test: float
    """Test accuracy at the end."""
    finite: bool


def train(lr: float, epochs: int, seed: int, split: int = 0, stream: int = 0, cosine: bool = False) -> Trained:
    """Train with SGD and momentum.

    Args:
        lr: Learning rate.
        epochs: Number of epochs.
        seed: Seed of weights and batches.
        split: Seed of the validation split.
        stream: See `TinyNetwork`.
        cosine: Whether the rate falls to 0 like a cosine; otherwise it is constant.
    """
    training, validation, test = digits(split)
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    network = TinyNetwork(stream)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=MOMENTUM)
    scores: list[float] = []
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = lr * (1 + math.cos(math.pi * epoch / epochs)) / 2 if cosine else lr
        for batch in torch.split(torch.randperm(len(training[0]), generator=order), BATCH):
            loss = nn.functional.cross_entropy(network(training[0][batch]), training[1][batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        scores.append(accuracy(network, validation))
    return Trained(scores, accuracy(network, test), bool(torch.isfinite(loss)))


def accuracy(network: nn.Module, part: tuple[Tensor, Tensor]) -> float:
    """Return the share of images whose class the network finds."""
    with torch.no_grad():
        return float((network(part[0]).argmax(dim=1) == part[1]).float().mean())


@cache
def digits(split: int) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return training, validation and test data; the test data is the same for all splits."""
    images, targets = load_digits(return_X_y=True)
    x, y = torch.from_numpy(((images - images.mean()) / images.std()).astype(np.float32)), torch.from_numpy(targets)
    rest, test = train_test_split(np.arange(len(y)), test_size=0.2, random_state=0, stratify=targets)
    train, val = train_test_split(rest, test_size=VAL_SHARE, random_state=split, stratify=targets[rest])
    return tuple((x[torch.from_numpy(part)], y[torch.from_numpy(part)]) for part in (train, val, test))
