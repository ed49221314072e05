"""Modules with manual optimization: two optimizers, closures, own clipping and accumulation."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.anyone.data import FEATURES
from tests.anyone.plain import Plain, network


class Manual(Plain):
    """One optimizer, called by hand; the step returns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer: Any = self.optimizers()
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log("train_loss", loss, on_epoch=True)


class ManualClosure(Manual):
    """A closure that the optimizer calls."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer: Any = self.optimizers()

        def closure() -> Tensor:
            loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
            optimizer.zero_grad()
            self.manual_backward(loss)
            return loss

        optimizer.step(closure=closure)


class ClipsAndAccumulates(Manual):
    """Own clipping, own accumulation, and a schedule that is stepped by hand."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizer: Any = self.optimizers()
        loss = nn.functional.cross_entropy(self(batch[0]), batch[1])
        self.manual_backward(loss / 2)
        if batch_idx % 2:
            self.clip_gradients(optimizer, gradient_clip_val=0.1, gradient_clip_algorithm="norm")
            optimizer.step()
            optimizer.zero_grad()
            self.lr_schedulers().step()  # type: ignore[union-attr, call-arg]

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 4)]


class TwoOptimizers(Manual):
    """Two networks against each other, with `toggle_optimizer`."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, FEATURES))
        self.critic = nn.Sequential(nn.Linear(FEATURES, 8), nn.LeakyReLU(), nn.Linear(8, 1))
        self.net = network()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        optimizers: Any = self.optimizers()
        generator, critic = optimizers
        noise = torch.randn(len(batch[0]), 4)
        self.toggle_optimizer(generator)
        loss = nn.functional.softplus(-self.critic(self.generator(noise))).mean()
        generator.zero_grad()
        self.manual_backward(loss)
        generator.step()
        self.untoggle_optimizer(generator)
        self.toggle_optimizer(critic)
        real, fake = self.critic(batch[0]), self.critic(self.generator(noise).detach())
        other = (nn.functional.softplus(-real) + nn.functional.softplus(fake)).mean()
        critic.zero_grad()
        self.manual_backward(other)
        critic.step()
        self.untoggle_optimizer(critic)
        self.log_dict({"train_g_loss": loss, "train_d_loss": other}, on_epoch=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.generator.parameters(), 1e-3), torch.optim.Adam(self.critic.parameters(), 1e-3)


class OneRarely(TwoOptimizers):
    """Two optimizers, of which one steps in every third batch only."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        if batch_idx % 3 == 0:
            super().training_step(batch, batch_idx)
            return
        optimizers: Any = self.optimizers()
        _, critic = optimizers
        loss = nn.functional.softplus(-self.critic(batch[0])).mean()
        critic.zero_grad()
        self.manual_backward(loss)
        critic.step()
