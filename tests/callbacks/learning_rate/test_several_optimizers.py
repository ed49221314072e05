"""The search with several optimizers: one at a time, the others keep their rates."""

import copy
from typing import Any, ClassVar, cast

import pytest
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks import find_lr
from foundation.errors import UserError
from lightning_modules.losses import NonSaturatingLoss
from tests.callbacks.inside_case import data
from tests.callbacks.learning_rate.finder_case import SHORT, linear

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


class Adversarial(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = linear(), linear()
        self.automatic_optimization = False
        self.seen: list[tuple[float, float]] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        optimizers: Any = self.optimizers()
        self.seen.append((optimizers[0].param_groups[0]["lr"], optimizers[1].param_groups[0]["lr"]))
        for number, (optimizer, net) in enumerate(zip(optimizers, (self.one, self.two), strict=True)):
            optimizer.zero_grad()
            self.manual_backward((1 + number) * nn.functional.cross_entropy(net(batch[0]), batch[1]))
            optimizer.step()

    def configure_optimizers(self) -> list[Optimizer]:
        return [torch.optim.SGD(self.one.parameters(), lr=0.5), torch.optim.SGD(self.two.parameters(), lr=0.25)]


def test_several_optimizers_one_at_a_time() -> None:
    module = Adversarial()
    first = find_lr(module, data(batch_size=64), optimizer=0, accelerator="cpu", **SHORT)
    second = find_lr(module, data(batch_size=64), optimizer=1, accelerator="cpu", **SHORT)
    assert module.seen == []
    assert second.losses[0, 0] == pytest.approx(2 * first.losses[0, 0], rel=1e-5)  # each has its own loss
    with pytest.raises(UserError, match="optimizer is 2, but there are 2, counted from 0"):
        find_lr(module, data(batch_size=64), optimizer=2, accelerator="cpu", **SHORT)


class TinyGAN(LightningModule):
    """Two steps of the discriminator, then one of the generator; each its own loss and kind of optimizer."""

    rates: ClassVar[list[tuple[float, float]]] = []  # of generator and discriminator, in all copies

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(8, 32), nn.LeakyReLU(0.2), nn.Linear(32, 64))
        self.discriminator = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
        self.loss = NonSaturatingLoss()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        to_generate, to_judge = cast(list[Any], self.optimizers())
        self.rates.append((to_generate.param_groups[0]["lr"], to_judge.param_groups[0]["lr"]))
        real = batch[0].flatten(1)
        for optimizer in (to_judge, to_judge, to_generate):
            self.toggle_optimizer(optimizer)
            fake = self.discriminator(self.generator(torch.randn(len(real), 8)))
            judged = optimizer is to_judge
            loss = self.loss.discriminator(self.discriminator(real), fake) if judged else self.loss.generator(fake)
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
            self.untoggle_optimizer(optimizer)

    def configure_optimizers(self) -> list[Optimizer]:
        return [
            torch.optim.Adam(self.generator.parameters(), 2e-4),
            torch.optim.SGD(self.discriminator.parameters(), 0.01),
        ]


@pytest.mark.parametrize("number", [0, 1])
def test_a_gan_one_network_at_a_time(number: int) -> None:
    torch.manual_seed(0)
    module = TinyGAN()
    before = copy.deepcopy(module.state_dict())
    TinyGAN.rates.clear()
    options: dict[str, Any] = {"low": 1e-5, "high": 100.0, "steps": 80, "repeats": 1, "accelerator": "cpu"}
    search = find_lr(module, data(batch_size=64), optimizer=number, **options)
    assert 1e-4 < search.pick < 10
    assert search.method == "nine_tenths"
    assert "optimizes by hand" in search.summary()
    own, other = ([pair[n] for pair in TinyGAN.rates] for n in (number, 1 - number))
    assert set(other) == {(2e-4, 0.01)[1 - number]}  # it keeps its rate
    assert own[0] == 1e-5
    assert len(set(own)) > 20
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
