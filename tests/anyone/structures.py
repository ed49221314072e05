"""Modules of other structure: towers, shared and checkpointed layers, functions, scripts."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tests.anyone.data import CLASSES, FEATURES
from tests.anyone.plain import Plain, network


class TwoEncoders(Plain):
    """Two towers; the inputs of both need no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.text = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh()), nn.Sequential(nn.Linear(FEATURES, 8))
        self.net = nn.Linear(16, CLASSES)  # type: ignore[assignment]

    def unpacked(self, batch: Any) -> tuple[Any, Tensor]:
        return batch, batch["y"]

    def forward(self, x: Any) -> Tensor:
        output: Tensor = self.net(torch.cat([self.text(x["text"]), self.image(x["image"])], dim=1))
        return output


class SharedLayer(Plain):
    """One layer, called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.again, self.leave = nn.Linear(FEATURES, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.enter(x))
        for _ in range(3):
            x = self.act(self.again(x))
        output: Tensor = self.leave(x)
        return output


class CheckpointedActivations(Plain):
    """Layers that run again in the backward pass."""

    reentrant = False

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(FEATURES, 8), nn.Tanh())
        self.middle, self.leave = nn.Sequential(nn.Linear(8, 8), nn.Tanh()), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.leave(checkpoint(self.middle, self.net(x), use_reentrant=self.reentrant))
        return output


class ReentrantCheckpoint(CheckpointedActivations):
    """The older kind of checkpointed activations."""

    reentrant = True


class FunctionalReLU(Plain):
    """Activations that are functions, not modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(FEATURES, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.second(nn.functional.relu(self.first(x)))
        return output


class Scripted(Plain):
    """A part that torch.jit has compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.jit.script(network())  # type: ignore[no-untyped-call, assignment]
        self.after = nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.after(self.net(x))
        return output
