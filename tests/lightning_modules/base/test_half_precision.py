"""Every task trains, validates and predicts with weights in 16 or 64 bits; losses stay in at least 32."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from datamodules import (
    BreastCancerDataModule,
    DiabetesDataModule,
    DigitsDataModule,
    MixUp,
    ShapeLabelsDataModule,
    ShapeMasksDataModule,
)
from lightning_modules import (
    GAN,
    BinaryClassifier,
    ImageClassifier,
    MultilabelClassifier,
    Regressor,
    Segmenter,
)
from lightning_modules.base.half_precision import out_of_half
from lightning_modules.losses import DiceLoss
from lightning_modules.networks import MLP, DCGANDiscriminator, DCGANGenerator, SmallCNN, UNet

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SGD = partial(torch.optim.SGD, lr=0.01)


SMALL: dict[str, Any] = {"pictures": 64, "size": 16, "batch_size": 16}
TASKS: dict[str, Any] = {
    "classes": lambda: (ImageClassifier(SmallCNN(10, 1, 2), SGD), DigitsDataModule(augmentation=MixUp(1.0))),
    "number": lambda: (Regressor(MLP(1, 10), SGD), DiabetesDataModule(batch_size=32)),
    "binary": lambda: (BinaryClassifier(MLP(1, 30), SGD), BreastCancerDataModule(batch_size=32)),
    "labels": lambda: (MultilabelClassifier(SmallCNN(3, 3, 2), SGD), ShapeLabelsDataModule(**SMALL)),
    "masks": lambda: (Segmenter(UNet(4, 3, 2, 1), SGD), ShapeMasksDataModule(**SMALL)),
    "binary masks": lambda: (
        Segmenter(UNet(2, 3, 2, 1), SGD, loss=DiceLoss(mode="binary")),
        ShapeMasksDataModule(foreground=True, **SMALL),
    ),
    "gan": lambda: (
        GAN(DCGANGenerator(channels=1, size=8, width=2), DCGANDiscriminator(channels=1, size=8, width=2), SGD, SGD),
        DigitsDataModule(batch_size=32),
    ),
}


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
@pytest.mark.parametrize("name", TASKS)
def test_fit_and_predict(name: str, precision: Any, tmp_path: Path) -> None:
    module, data = TASKS[name]()
    trainer = Trainer(
        accelerator="cpu", precision=precision, max_epochs=1, limit_train_batches=2, limit_val_batches=1,
        limit_predict_batches=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, gradient_clip_val=None if name == "gan" else 1.0, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, data)
    dtype = torch.bfloat16 if precision == "bf16-true" else torch.float64
    assert {parameter.dtype for parameter in module.parameters()} == {dtype}
    assert all(value.isfinite() for value in trainer.callback_metrics.values())
    trainer.predict(module, data)


def test_a_loss_of_16_bit_weights_is_computed_in_32() -> None:
    layer = nn.Linear(2, 3).bfloat16()
    rows = torch.zeros(4, 2, dtype=torch.bfloat16)
    assert out_of_half(layer(rows)).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert out_of_half(layer(rows)).dtype == torch.bfloat16


@pytest.mark.phantom_gpu(values=True)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cross_entropy_under_autocast_of_a_gpu_is_computed_in_32(dtype: torch.dtype) -> None:
    module = ImageClassifier(nn.Linear(3, 3), loss=nn.CrossEntropyLoss(), optimizer=torch.optim.SGD)
    logits, targets = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).to(dtype), torch.arange(6) % 3
    with torch.autocast("cuda", dtype):
        value = module.criterion(logits.cuda(), targets.cuda())
    torch.testing.assert_close(value.cpu(), nn.functional.cross_entropy(logits.float(), targets), rtol=1e-6, atol=1e-6)
