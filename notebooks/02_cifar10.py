# %% [markdown]
# # CIFAR-10 from start to finish
# If `data/` contains CIFAR-10 (`CIFAR10DataModule("data").prepare_data()` downloads 170 MB), this notebook trains on it: eight epochs
# take some minutes on two cores and reach about 88 %. **Otherwise it uses handwritten digits at 32 × 32 pixels**, so that you can
# run every cell; the numbers then say nothing about CIFAR-10.

# %%
# %matplotlib inline
from descent.allocator import tune_allocator

tune_allocator()

from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from callbacks import EpochLines, plot_history
from datamodules import CIFAR10DataModule, CropFlip, DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import ResNet8
from lightning_modules.schedulers import Cosine, Warmup

real = Path("data/cifar-10-batches-py").is_dir()
if real:
    data = CIFAR10DataModule("data", batch_size=250, augmentation=CropFlip())
else:
    data = DigitsDataModule(size=32, batch_size=64, augmentation=CropFlip(flip="none"))
print("CIFAR-10" if real else "no CIFAR-10 in data/: using digits at 32 × 32 pixels")

# %%
epochs = 8 if real else 2  # small: 1
widths = (64, 128, 256) if real else (8, 16, 32)
seed_everything(0, verbose=False)
module = ImageClassifier(
    ResNet8(num_classes=data.num_classes, in_channels=data.channels, widths=widths),
    optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4),
    scheduler=Warmup(Cosine(), fraction=0.2),
)
trainer = Trainer(
    max_epochs=epochs,
    precision="32-true",  # "bf16-mixed" where the CPU has bf16 instructions, "16-mixed" on a GPU
    gradient_clip_val=1.0,
    logger=CSVLogger("runs"),
    callbacks=[EpochLines()],
    enable_model_summary=False,
)
trainer.fit(module, data)

# %%
trainer.test(module, data, verbose=False)

# %%
plot_history(trainer.log_dir)

# %% [markdown]
# The measured recipe, with all its settings, is one command: `descent fit -c configs/cifar10.yaml`.
