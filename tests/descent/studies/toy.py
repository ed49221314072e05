"""A toy that trains in milliseconds: two classes of points, and a module that can crash or diverge."""

from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class ToyData(LightningDataModule):
    """Two noisy classes.

    Args:
        validation: Whether there is a validation set.
    """

    num_classes = 2
    channels = 1

    def __init__(self, validation: bool = True) -> None:
        super().__init__()
        self.validation = validation

    def _loader(self, seed: int, shuffle: bool = False) -> DataLoader[Any]:
        generator = torch.Generator().manual_seed(seed)
        targets = torch.arange(64) % 2
        inputs = torch.randn(64, 3, generator=generator) + 0.7 * targets[:, None]
        return DataLoader(TensorDataset(inputs, targets), batch_size=16, shuffle=shuffle)

    def train_dataloader(self) -> DataLoader[Any]:
        return self._loader(0, shuffle=True)

    def val_dataloader(self) -> Any:
        return self._loader(1) if self.validation else []

    def test_dataloader(self) -> DataLoader[Any]:
        return self._loader(2)


class ToyModule(LightningModule):
    """Logistic regression.

    Args:
        network: Of 3 inputs and 2 outputs.
        optimizer: Makes the optimizer.
        mishap: What goes wrong: `none`, `crash`, `diverge`.
        pause: Seconds that a batch takes.
    """

    def __init__(
        self, network: nn.Module, optimizer: OptimizerCallable, mishap: str = "none", pause: float = 0.0
    ) -> None:
        super().__init__()
        if mishap == "refuse":
            raise ValueError("mishap must not be refuse.")
        self.network = network
        self.optimizer, self.mishap, self.pause = optimizer, mishap, pause

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        import time

        if self.pause:
            time.sleep(self.pause)
        if self.mishap == "crash":
            raise RuntimeError("the toy is broken")
        loss = nn.functional.cross_entropy(self.network(batch[0]), batch[1])
        return loss * float("nan") if self.mishap == "diverge" else loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, stage: str, batch: tuple[Tensor, Tensor]) -> None:
        logits = self.network(batch[0])
        margin = logits.gather(1, batch[1][:, None]).squeeze(1) - logits.flip(1).gather(1, batch[1][:, None]).squeeze(1)
        self.log_dict({f"{stage}/margin": margin.sigmoid().mean(), f"{stage}/accuracy": (margin > 0).float().mean()})

    def configure_optimizers(self) -> Any:
        return self.optimizer(self.parameters())


def toy_study(folder: Any, pause: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A study of the toy, whose base config is written into a folder."""
    base = folder / "base.yaml"
    base.write_text(
        "trainer: {max_epochs: 2, accelerator: cpu}\n"
        "model:\n  class_path: tests.descent.studies.toy.ToyModule\n"
        f"  init_args:\n    pause: {pause}\n"
        "    network: {class_path: torch.nn.Linear, init_args: {in_features: 3, out_features: 2}}\n"
        "    optimizer: {class_path: torch.optim.SGD, init_args: {lr: 0.1}}\n"
        "data: {class_path: tests.descent.studies.toy.ToyData}\n"
    )
    content = {
        "name": "toy",
        "experiment": str(base),
        "candidates": {"slow": {"model.optimizer.lr": 0.01}, "fast": {"model.optimizer.lr": 0.3}},
        "baseline": "slow",
        "metric": "val/margin",
        "mode": "max",
        "trials": 3,
        "seeds": 4,
        "tuning": "once",
    }
    return {**content, **changes}
