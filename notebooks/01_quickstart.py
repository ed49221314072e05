# %% [markdown]
# # Quickstart
# Handwritten digits, a small convolutional network, 15 epochs: a module from plain objects, Lightning's own `Trainer`.

# %%
# %matplotlib inline
from descent.allocator import tune_allocator

tune_allocator()  # faster on a CPU; before torch is imported

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
# What was logged is a table, and a figure.

# %%
history(trainer.log_dir).tail(3)

# %%
plot_history(trainer.log_dir)

# %% [markdown]
# The test scans are opened here and nowhere else.

# %%
trainer.test(module, data, verbose=False)
