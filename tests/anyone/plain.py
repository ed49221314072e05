"""Modules with automatic optimization, in the styles in which people write them."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics.classification import MulticlassAccuracy

from tests.anyone.data import CLASSES, FEATURES


def network(width: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.Linear(FEATURES, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, CLASSES))


class Plain(LightningModule):
    """Metrics named `train_loss`, `val_loss` and `val_acc`, logged in each step."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.net(x)
        return output

    def unpacked(self, batch: Any) -> tuple[Any, Tensor]:
        x, y = batch
        return x, y

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = self.unpacked(batch)
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(y))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        x, y = self.unpacked(batch)
        output = self(x)
        self.log("val_loss", nn.functional.cross_entropy(output, y), prog_bar=True, batch_size=len(y))
        self.log("val_acc", (output.argmax(dim=1) == y).float().mean(), batch_size=len(y))

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


class ReturnsDict(Plain):
    """The loss in a dict, with the outputs."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        output = self(batch[0])
        return {"loss": nn.functional.cross_entropy(output, batch[1]), "output": output.detach()}


class LogsToTheExperiment(Plain):
    """The logger's own methods, in the step."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        assert self.logger is not None
        self.logger.log_metrics({"own": 1.0}, step=self.global_step)
        self.logger.experiment.log_metrics({"other": 2.0}, self.global_step)  # type: ignore[attr-defined]
        return loss


class ReadsTheDataModule(Plain):
    """A step that asks the trainer's data module."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        smoothing = 0.1 / self.trainer.datamodule.num_classes  # type: ignore[attr-defined]
        return nn.functional.cross_entropy(self(batch[0]), batch[1], label_smoothing=smoothing)


class OneCycleOfTheRun(Plain):
    """A schedule as long as the run, as everyone builds it."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Callables(Plain):
    """The `optimizer` and `scheduler` callables of LightningCLI."""

    def __init__(
        self,
        optimizer: Callable[[Any], Optimizer] = lambda p: torch.optim.SGD(p, lr=0.05),
        scheduler: Callable[[Optimizer], Any] = lambda o: torch.optim.lr_scheduler.StepLR(o, 1),
    ) -> None:
        super().__init__()
        self.optimizer, self.scheduler = optimizer, scheduler

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": self.scheduler(optimizer)}


class KeepsOutputs(Plain):
    """Outputs that are kept until the end of the epoch, with their graphs."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[Tensor] = []

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        output = self(batch[0])
        self.outputs.append(output)
        return nn.functional.cross_entropy(output, batch[1])

    def on_train_epoch_end(self) -> None:
        self.log("train_mean", torch.cat(self.outputs).mean().detach())
        self.outputs.clear()


class HoldsALock(Plain):
    """An attribute that cannot be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        with self.lock:
            return super().training_step(batch, batch_idx)


class ReadsTheCheckpoint(Plain):
    """A step that asks the trainer's checkpoint callback."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.folder = self.trainer.checkpoint_callback.dirpath  # type: ignore[union-attr]
        return super().training_step(batch, batch_idx)


class AnnealsByEpoch(Plain):
    """A loss with a weight that depends on how far the run is."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        share = self.current_epoch / self.trainer.max_epochs  # type: ignore[operator]
        assert 0 <= share <= 1, share
        return (1 - 0.5 * share) * super().training_step(batch, batch_idx)


class AnnealsByStep(Plain):
    """The same with steps."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return min(1.0, (1 + self.global_step) / 20) * super().training_step(batch, batch_idx)


class WarmsUpByHand(Plain):
    """A warmup in `optimizer_step`."""

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * min(1.0, (self.trainer.global_step + 1) / 5)
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)


class OwnAverage(Plain):
    """An average of the weights that is updated by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.average = copy.deepcopy(self.net).requires_grad_(False)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 0.1)


class LBFGSClosure(Plain):
    """An optimizer that evaluates the loss several times a step."""

    def configure_optimizers(self) -> Any:
        return torch.optim.LBFGS(self.parameters(), lr=0.1, max_iter=2)


class Lazy(Plain):
    """Layers whose sizes the first batch decides."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(CLASSES))

    def setup(self, stage: str) -> None:
        self.net(torch.zeros(2, FEATURES))


class BuildsInSetup(Plain):
    """A network that is built in `setup`, which runs again at each fit."""

    def __init__(self) -> None:
        super().__init__()
        self.net = None  # type: ignore[assignment]

    def setup(self, stage: str) -> None:
        self.net = network()


class NoOptimizer(Plain):
    """A module that only counts."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.seen += len(batch[0])  # type: ignore[operator, assignment]

    def configure_optimizers(self) -> Any:
        return None


class OtherNameOfTheLoss(Plain):
    """A criterion, and names of metrics with the stage at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.criterion = nn.CrossEntropyLoss()

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = self.criterion(self(batch[0]), batch[1])
        self.log("loss/train", loss, on_epoch=True)
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        output = self(batch[0])
        self.log("loss/valid", self.criterion(output, batch[1]))
        self.log("Accuracy/valid", (output.argmax(dim=1) == batch[1]).float().mean())


class HalfParameters(Plain):
    """Parameters in bfloat16."""

    def __init__(self) -> None:
        super().__init__()
        self.net = network().bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.net(x.bfloat16()).float()
        return output


class FrozenBackbone(Plain):
    """A part that is not trained, and a parameter that the optimizer does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(FEATURES, FEATURES).requires_grad_(False)
        self.forgotten = nn.Linear(FEATURES, FEATURES)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.net(self.forgotten(self.backbone(x)))
        return output

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.net.parameters(), lr=0.05)


class Plateau(Plain):
    """A schedule that watches a metric of the validation."""

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


class MetricObjects(Plain):
    """torchmetrics objects that are logged."""

    def __init__(self) -> None:
        super().__init__()
        self.train_acc, self.val_acc = MulticlassAccuracy(CLASSES), MulticlassAccuracy(CLASSES)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        output = self(batch[0])
        self.train_acc(output, batch[1])
        self.log("train_acc", self.train_acc, on_step=True, on_epoch=True)
        return nn.functional.cross_entropy(output, batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        output = self(batch[0])
        self.val_acc(output, batch[1])
        self.log("val_acc", self.val_acc)
        self.log("val_loss", nn.functional.cross_entropy(output, batch[1]))
