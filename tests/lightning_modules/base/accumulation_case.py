"""Gradients of windows, and what one large batch gives."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch import Tensor, nn

from lightning_modules.base.supervised import SupervisedModule
from tests.datamodules.support import quiet_trainer

Batches = list[tuple[Tensor, Tensor]]

UNEVEN = (4, 4, 4, 2, 4, 1, 3, 4)

CLASSES, PIXELS = 3, 5


class Loader:
    """Batches in a fixed order."""

    def __init__(self, batches: Batches, known_length: bool = True) -> None:
        self.batches = batches
        if known_length:
            self.__class__ = _WithLength

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)


class _WithLength(Loader):
    def __len__(self) -> int:
        return len(self.batches)


class Gradients(Callback):
    """Keeps the gradients of every optimizer step, as clipping gets them."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.seen.append(torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]).clone())


def batches(
    sizes: tuple[int, ...], kind: str, ignored: int | None = None, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Batches:
    """Inputs `(B, 7)` and targets for outputs `(B, 3, 5)`: classes, zeros and ones, shares of classes, or numbers."""
    g = torch.Generator().manual_seed(seed)
    made = []
    for size in sizes:
        inputs = torch.randn(size, 7, generator=g, dtype=dtype)
        if kind == "classes":
            target = torch.randint(0, CLASSES, (size, PIXELS), generator=g)
        elif kind == "shares":
            target = torch.rand(size, CLASSES, PIXELS, generator=g, dtype=dtype).softmax(1)
        else:
            target = torch.rand(size, CLASSES, PIXELS, generator=g, dtype=dtype)
            target = target.round() if kind == "binary" else target
        if ignored is not None:
            target[torch.rand(target.shape, generator=g) < 0.4] = ignored
        made.append((inputs, target))
    return made


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(7, CLASSES * PIXELS), nn.Tanh(), nn.Unflatten(1, (CLASSES, PIXELS)))


def gradient_of(loss: nn.Module, window: Batches) -> Tensor:
    """The gradient of one batch that holds all samples of the window."""
    big = network().double()
    output = big(torch.cat([inputs for inputs, _ in window]).double())
    loss(output, torch.cat([target for _, target in window])).backward()
    return torch.cat([p.grad.flatten() for p in big.parameters() if p.grad is not None])


def windows_of(data: Batches, size: int) -> list[Batches]:
    return [data[first : first + size] for first in range(0, len(data), size)]


def fit(loss: nn.Module, data: Batches, accumulate: int, known_length: bool = True, **flags: Any) -> list[Tensor]:
    watch = Gradients()
    module = SupervisedModule(network(), loss, partial(torch.optim.SGD, lr=0.0))
    options: dict[str, Any] = {"max_epochs": 1, "precision": "64-true", "accumulate_grad_batches": accumulate} | flags
    if options["accumulate_grad_batches"] is None:
        del options["accumulate_grad_batches"]
    options["callbacks"] = [*options.get("callbacks", []), watch]
    quiet_trainer(**options).fit(module, Loader(data, known_length))
    return watch.seen
