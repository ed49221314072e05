"""Two and four processes equal one: losses, norms, rates, weights and metrics for the same global batches."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, seed_everything
from torch import Tensor, nn

from callbacks import ExactResume
from datamodules import CropFlip, DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.distributed.gathered_batch_norm import BatchNormSync, GatheredBatchNorm
from lightning_modules.schedulers import Plateau
from tests.datamodules.support import quiet_trainer
from tests.ranks.processes import ddp, in_processes

GLOBAL_BATCH, STEPS = 32, 20
Record = dict[str, Any]


class Watch(Callback):
    """Record every optimizer step: the losses of its batches, the norm before clipping, the rate, the new weights."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []
        self.weights: list[Tensor] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.losses.append(float(outputs["loss"]))
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        self.norms.append(float(pl_module.grad_norm))
        self.rates.append(float(trainer.optimizers[0].param_groups[0]["lr"]))
        self.weights.append(torch.cat([p.detach().flatten().double() for p in pl_module.parameters()]))


class Network(nn.Sequential):
    """Two layers with batch norm, which convert float32 data to the precision of the weights."""

    def __init__(self) -> None:
        first = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()]
        super().__init__(*first, nn.Linear(144, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = super().forward(images.to(next(self.parameters()).dtype))
        return output


def classifier() -> ImageClassifier:
    seed_everything(1, verbose=False)
    optimizer = partial(torch.optim.SGD, lr=0.05, momentum=0.9, weight_decay=1e-4)
    plateau = Plateau(patience=0, threshold=0.9)  # so that it reduces the rate
    return ImageClassifier(Network(), optimizer=optimizer, scheduler=plateau)


def train(precision: str, processes: int) -> Record:
    module, watch = classifier(), Watch()
    trainer = quiet_trainer(
        max_epochs=4,
        limit_train_batches=10,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        precision=precision,
        sync_batchnorm=True,
        plugins=[BatchNormSync()],
        num_sanity_val_steps=0,
        callbacks=[ExactResume(seed=1), watch],
        **({"strategy": ddp(), "devices": processes} if processes > 1 else {}),
    )
    data = DigitsDataModule(batch_size=GLOBAL_BATCH // processes, augmentation=CropFlip(1), seed=5)
    trainer.fit(module, data)
    assert not any(isinstance(layer, GatheredBatchNorm) for layer in module.modules()), "not reverted"
    return vars(watch) | {
        "logged": {name: float(value) for name, value in trainer.callback_metrics.items()},
        "buffers": {name: buffer.double() for name, buffer in module.named_buffers() if "running" in name},
    }


def measure(processes: int) -> dict[str, float]:
    """Return the test metrics of the untrained network on 359 images, which the batches do not divide evenly."""
    options = {"strategy": ddp(), "devices": processes} if processes > 1 else {}
    trainer = quiet_trainer(**options)
    trainer.test(classifier(), DigitsDataModule(eval_batch_size=50), verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def all_of(rank: int, processes: int, folder: str) -> Record:
    return {
        "exact": train("64-true", processes),
        "usual": train("32-true", processes),
        "measured": measure(processes),
    }


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Record]]:
    """Return the records of each process by the number of processes."""
    folder = tmp_path_factory.mktemp("ranks")
    return {
        1: [all_of(0, 1, "")],
        **{count: in_processes(count, all_of, folder) for count in (2, 4)},
    }


TOLERANCE = {"exact": 1e-11, "usual": 2e-5}  # relative; rounding grows over the steps


@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("precision", ["exact", "usual"])
def test_training_is_the_same(runs: dict[int, list[Record]], count: int, precision: str) -> None:
    alone, together = runs[1][0][precision], [record[precision] for record in runs[count]]
    near = partial(torch.testing.assert_close, rtol=TOLERANCE[precision], atol=TOLERANCE[precision] / 10)
    assert len(alone["norms"]) == len(together[0]["norms"]) == STEPS
    double = partial(torch.tensor, dtype=torch.float64)
    near(double([record["losses"] for record in together]).mean(dim=0), double(alone["losses"]))
    assert min(alone["norms"]) < 1 < max(alone["norms"]), "some steps must be clipped, and others not"
    assert len(set(alone["rates"])) > 2, "the plateau schedule must reduce the rate"
    for record in together:
        near(double(record["norms"]), double(alone["norms"]))
        assert record["rates"] == alone["rates"]
        near(torch.stack(record["weights"]), torch.stack(alone["weights"]))
        assert torch.equal(torch.stack(record["weights"]), torch.stack(together[0]["weights"]))
        near(record["buffers"], alone["buffers"])
        assert record["logged"].keys() == alone["logged"].keys()
        for name, value in alone["logged"].items():
            exact = "accuracy" in name
            assert record["logged"][name] == (value if exact else pytest.approx(value, rel=1e-4)), name


@pytest.mark.parametrize("count", [2, 4])
def test_metrics_are_the_same_on_uneven_shares(runs: dict[int, list[Record]], count: int) -> None:
    alone = runs[1][0]["measured"]
    assert set(alone) == {"test/loss", "test/accuracy", "test/accuracy_top5"}
    assert 0 < alone["test/accuracy"] < 1
    for record in runs[count]:
        for name in ("test/accuracy", "test/accuracy_top5"):
            assert record["measured"][name] == alone[name]
        assert record["measured"]["test/loss"] == pytest.approx(alone["test/loss"], rel=1e-6)
