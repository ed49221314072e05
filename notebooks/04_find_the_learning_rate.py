# %% [markdown]
# # Find the learning rate
# `find_lr` trains copies of the network with a rising learning rate. It leaves the module, the data and all random generators
# unchanged.

# %%
# %matplotlib inline
from functools import partial

import torch

from callbacks import find_lr
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN

steps = 140  # small: 40
torch.manual_seed(0)
data = DigitsDataModule(batch_size=64)
module = ImageClassifier(SmallCNN(10, 1, width=16), partial(torch.optim.SGD, lr=0.1, momentum=0.9))
search = find_lr(module, data, high=100.0, steps=steps, repeats=2, accelerator="cpu")
print(search.summary())

# %%
search.plot()

# %% [markdown]
# Build the module with the suggested rate: `partial(torch.optim.SGD, lr=search.pick, momentum=0.9)`. The best rate depends on the
# optimizer, so repeat the search when you change it.

# %%
adam = ImageClassifier(SmallCNN(10, 1, width=16), partial(torch.optim.AdamW, lr=1e-3))
print(
    f"SGD {search.pick:.3g}, AdamW {find_lr(adam, data, steps=steps, repeats=1, high=100.0, accelerator='cpu').pick:.3g}"
)
