# %% [markdown]
# # Resume after a crash
# A run that crashes in the middle of an epoch and is resumed ends with exactly the same weights as an uninterrupted run.

# %%
from functools import partial
from pathlib import Path

import torch
from lightning.pytorch import Callback, Trainer, seed_everything

from callbacks import DurableCheckpoint, DurableCheckpointIO, ExactResume
from datamodules import CropFlip, DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN
from lightning_modules.schedulers import Cosine


class Crash(Callback):
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == 31:
            raise RuntimeError("the power went out")


def fit(folder, *more, resume=None):
    seed_everything(0, verbose=False)
    module = ImageClassifier(SmallCNN(10, 1, width=8), partial(torch.optim.AdamW, lr=3e-3), scheduler=Cosine())
    callbacks = [DurableCheckpoint(every_n_train_steps=3), ExactResume(), *more]
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(
        max_epochs=3, default_root_dir=folder, callbacks=callbacks, plugins=[DurableCheckpointIO()], **options
    )
    trainer.fit(module, DigitsDataModule(batch_size=64, augmentation=CropFlip(flip="none")), ckpt_path=resume)
    return module


uninterrupted = fit("runs/uninterrupted")
try:
    fit("runs/crashed", Crash())
except RuntimeError as error:
    print("crashed:", error)

# %%
checkpoint = next(Path("runs/crashed").rglob("last.ckpt"))
resumed = fit("runs/crashed", resume=checkpoint)
same = [
    torch.equal(a, b) for a, b in zip(uninterrupted.state_dict().values(), resumed.state_dict().values(), strict=True)
]
print(f"{sum(same)} of {len(same)} tensors are identical")

# %% [markdown]
# On the command line: `descent fit --ckpt_path runs/quickstart/0` resumes; `descent verify-resume -c CONFIG` checks on your setup
# that a killed and resumed run gives identical weights.
