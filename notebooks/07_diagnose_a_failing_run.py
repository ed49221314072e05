# %% [markdown]
# # Diagnose a failing run
# In this network the biases are far below zero, so the ReLUs output 0 and pass on no gradient: the units are dead.

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


failing, diagnostics = train(bias=-20.0)

# %% [markdown]
# The network learns almost nothing, and the learning curves do not show why. The diagnostics do:

# %%
history(failing.log_dir)[["train/loss", "val/accuracy"]]

# %%
print("\n".join(diagnostics.findings))

# %% [markdown]
# The repair: initialize the biases with zero.

# %%
repaired, diagnostics = train(bias=0.0)
history(repaired.log_dir)[["train/loss", "val/accuracy"]]
