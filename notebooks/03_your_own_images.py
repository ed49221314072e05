# %% [markdown]
# # Your own images
# You need a folder with one folder per class: `FOLDER/<class>/….jpg`. The images may have any size and mode. This cell creates an
# example.

# %%
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from PIL import Image

from callbacks import history
from datamodules import ImageFolderDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN

rng = np.random.default_rng(0)
for name, colour in {"apples": (200, 40, 40), "limes": (70, 190, 60), "plums": (90, 40, 150)}.items():
    folder = Path("images") / name
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(60):
        height, width = rng.integers(40, 90, 2)
        pixels = np.array(colour) + rng.normal(0, 50, (height, width, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number}.png")

# %% [markdown]
# A fixed fifth of each class is the test set; the rest is split into training and validation.

# %%
seed_everything(0, verbose=False)
data = ImageFolderDataModule("images", image_size=32, batch_size=16)
data.prepare_data()
print(data.class_names)
module = ImageClassifier(SmallCNN(data.num_classes, data.channels, width=8), partial(torch.optim.AdamW, lr=3e-3))
options = {"logger": CSVLogger("runs"), "enable_progress_bar": False, "enable_model_summary": False}
trainer = Trainer(max_epochs=4, **options)
trainer.fit(module, data)
history(trainer.log_dir)

# %%
trainer.test(module, data, verbose=False)

# %% [markdown]
# On the command line, with an evaluation page and a prediction page: `descent fit -c configs/pictures.yaml
# --data.root FOLDER`, `descent evaluate`, `descent predict --images`, `descent export`.
