"""Networks of some thousand weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def mlp(inputs: int, width: int, outputs: int) -> nn.Module:
    """Two layers with a ReLU."""
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))


def tanh(inputs: int, width: int, outputs: int) -> nn.Module:
    """Three layers with tanh."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs)
    )


def silu(inputs: int, width: int, outputs: int) -> nn.Module:
    """Three layers with SiLU and dropout."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Dropout(0.1), nn.Linear(width, width), nn.SiLU(),
        nn.Linear(width, outputs),
    )  # fmt: skip


def deep(inputs: int, width: int, outputs: int, norm: Callable[[int], nn.Module] | None) -> nn.Module:
    """Four layers, normalised or not."""
    layers: list[nn.Module] = []
    for size in (inputs, width, width):
        layers += [nn.Linear(size, width), *([norm(width)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def cnn() -> nn.Module:
    """Two convolutions for 8 × 8 pixels."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


def segmenter(width: int) -> nn.Module:
    """Three convolutions, one output a pixel."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
        nn.Conv2d(width, 1, 1),
    )  # fmt: skip


def autoencoder() -> nn.Module:
    """64 pixels to 12 numbers and back."""
    return nn.Sequential(
        nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 12), nn.Linear(12, 32), nn.GELU(), nn.Linear(32, 64), nn.Sigmoid()
    )


class Transformer(nn.Module):
    """One block of attention on sequences of 10 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.position = nn.Embedding(8, 16), nn.Parameter(torch.zeros(10, 16))
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(16, 8)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `(B, 8)`."""
        output: Tensor = self.head(self.block(self.embedding(inputs) + self.position).mean(1))
        return output


class Recurrent(nn.Module):
    """A GRU of 16 units."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.GRU(2, 16, batch_first=True), nn.Linear(16, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return one number a sequence, `(B, 1)`."""
        output: Tensor = self.head(self.recurrent(inputs)[0][:, -1])
        return output


class Residual(nn.Module):
    """A residual block with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1),
            nn.BatchNorm2d(8),
        )  # fmt: skip
        self.head = nn.Linear(8 * 4, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits `(B, 10)`."""
        hidden = self.stem(inputs)
        hidden = (hidden + self.block(hidden)).relu()
        output: Tensor = self.head(nn.functional.max_pool2d(hidden, 2).flatten(1))
        return output
