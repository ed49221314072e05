# %% [markdown]
# # Quickstart
# Train a small convolutional network on handwritten digits for 15 epochs. The module is built from ordinary Python objects; the
# `Trainer` is Lightning's.

# %%
# %matplotlib inline
from descent.allocator import tune_allocator

tune_allocator()  # makes training on a CPU faster; call it before importing torch

from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger

from callbacks import EpochLines, history, plot_history
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN
from lightning_modules.schedulers import Cosine

epochs = 15  # small: 2
seed_everything(0, verbose=False)
data = DigitsDataModule(batch_size=64)
module = ImageClassifier(
    SmallCNN(num_classes=10, in_channels=1, width=16),
    optimizer=partial(torch.optim.AdamW, lr=3e-3),
    scheduler=Cosine(),
)
trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), callbacks=[EpochLines()], enable_model_summary=False)
trainer.fit(module, data)

# %% [markdown]
# The logged metrics as a table and as a figure:

# %%
history(trainer.log_dir).tail(3)

# %%
plot_history(trainer.log_dir)

# %% [markdown]
# Only this cell uses the test set.

# %%
trainer.test(module, data, verbose=False)
