# %% [markdown]
# # See inside a run, and repair a sick one
# A network whose units have died: biases far below zero, so that the ReLUs give 0 and no gradient comes through.

# %%
from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from torch import nn

from callbacks import Diagnostics, GradientNorm, history
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier


def train(bias: float, rate: float = 0.05):
    seed_everything(0, verbose=False)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    nn.init.constant_(network[3].bias, bias)
    module = ImageClassifier(network, partial(torch.optim.SGD, lr=rate, momentum=0.9))
    watch = [Diagnostics(every_n_steps=5), GradientNorm()]
    options = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 5}
    trainer = Trainer(max_epochs=3, logger=CSVLogger("runs"), callbacks=watch, **options)
    trainer.fit(module, DigitsDataModule(batch_size=64))
    return trainer, watch[0]


sick, diagnostics = train(bias=-20.0)

# %% [markdown]
# It learns next to nothing, and the curves do not say why. The diagnostics do:

# %%
history(sick.log_dir)[["train/loss", "val/accuracy"]]

# %%
print("\n".join(diagnostics.findings))

# %% [markdown]
# Repaired: the biases begin at zero.

# %%
well, diagnostics = train(bias=0.0)
history(well.log_dir)[["train/loss", "val/accuracy"]]
