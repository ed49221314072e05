"""What judges a short run: validation batches, without dropout, and without a trace."""

from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks.learning_rate.held_out import held_out_batches, held_out_loss
from tests.callbacks.inside_case import classifier, data


class Judge(Callback):
    """Judge after some steps."""

    def __init__(self) -> None:
        self.loss = self.expected = float("nan")
        self.validation = False
        self.changed: list[str] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx != 3:
            return
        before = {name: value.clone() for name, value in pl_module.state_dict().items()}
        modes = [each.training for each in pl_module.modules()]
        batches, self.validation = held_out_batches(trainer, pl_module, batch)
        self.loss = held_out_loss(trainer, pl_module, batches)
        again = held_out_loss(trainer, pl_module, batches)
        assert again == self.loss  # no dropout
        after = pl_module.state_dict()
        self.changed = [name for name, value in before.items() if not torch.equal(value, after[name])]
        assert [each.training for each in pl_module.modules()] == modes
        assert trainer.training


def judged(module: LightningModule, given: Any) -> Judge:
    judge = Judge()
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, max_steps=5,
        enable_model_summary=False, limit_val_batches=0, callbacks=[judge],
    )  # fmt: skip
    trainer.fit(module, given)
    return judge


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_validation_batches_judge_and_nothing_changes() -> None:
    """The network has batch norm and dropout; its running statistics stay."""
    torch.manual_seed(0)
    judge = judged(classifier(scheduler=None), data(batch_size=64))
    assert judge.validation
    assert 0 < judge.loss < 5
    assert judge.changed == []


class Shifted(LightningModule):
    """Its loss is the mean of the inputs, times its weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        return {"loss": (batch * self.weight).mean()}

    def configure_optimizers(self) -> Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


class OwnLoaders(Shifted):
    """A module with loaders of its own."""

    def train_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.ones(16, 1), 2)  # type: ignore[arg-type]

    def val_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.full((8, 1), 7.0), 4)  # type: ignore[arg-type]


class OtherForm(OwnLoaders):
    """Validation batches that `training_step` cannot take."""

    def val_dataloader(self) -> Any:
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8), torch.ones(8)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "loss", "validation"), [(OwnLoaders, 7.0, True), (OtherForm, 1.0, False)])
def test_loaders_of_a_module(kind: type[Shifted], loss: float, validation: bool) -> None:
    judge = judged(kind(), None)
    assert judge.loss == pytest.approx(loss)
    assert judge.validation == validation


class BareLoss(OwnLoaders):
    def training_step(self, batch: Tensor, batch_idx: int) -> Any:
        return super().training_step(batch, batch_idx)["loss"]


class WithoutIndex(OwnLoaders):
    def training_step(self, batch: Tensor) -> Any:  # type: ignore[override]
        return super().training_step(batch, 0)


class FetchesItself(OwnLoaders):
    def training_step(self, dataloader_iter: Any) -> Any:  # type: ignore[override]
        return super().training_step(next(dataloader_iter)[0].to(self.device), 0)


class SkipsSome(OwnLoaders):
    """A skipped batch has no loss, and does not count."""

    def training_step(self, batch: Tensor, batch_idx: int) -> Any:
        return None if batch_idx % 2 else super().training_step(batch, batch_idx)


class SkipsAll(OwnLoaders):
    """Nothing judges, so that no rate is good."""

    def training_step(self, batch: Tensor, batch_idx: int) -> Any:
        return super().training_step(batch, batch_idx) if self.training else None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "loss"),
    [(BareLoss, 7.0), (WithoutIndex, 7.0), (FetchesItself, None), (SkipsSome, 7.0), (SkipsAll, float("inf"))],
)
def test_forms_of_a_step(kind: type[Shifted], loss: float | None) -> None:
    judge = judged(kind(), None)
    assert judge.loss == (7.0 if judge.validation else 1.0) if loss is None else judge.loss == loss
