# %% [markdown]
# # Resume after a crash
# **You will learn** what a checkpoint must hold so that a resumed run ends with exactly the same weights, and to check it. **Time:**
# 10 minutes; the cells take less than a minute.
#
# ## What a step depends on
# The weights after a step are a function of more than the weights before it:
#
# $$(\theta, o, b, s)_{t+1} = F\big((\theta, o, b, s)_t\big)$$
#
# with the weights $\theta$, the state $o$ of the optimizer (momentum, second moments), the position $b$ in the data, and the state $s$ of
# schedule and random numbers. If one of them is lost, the resumed run is another run.
#
# **Question 1.** The power goes out after step 31, in the middle of the second epoch (20 steps each). A checkpoint is written every three
# steps. How many steps are lost, and what must the loader do next?

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


def compare(first, second):
    pairs = list(zip(first.state_dict().values(), second.state_dict().values(), strict=True))
    return sum(torch.equal(a, b) for a, b in pairs), len(pairs)


uninterrupted = fit("runs/uninterrupted")
try:
    fit("runs/crashed", Crash())
except RuntimeError as error:
    print("crashed:", error)
checkpoint = next(Path("runs/crashed").rglob("last.ckpt"))
print("the checkpoint is of step", torch.load(checkpoint, weights_only=False)["global_step"])

# %% [markdown]
# **Explanation.** The last checkpoint is of step 30: one step is lost and is taken again. The loader must go on with the eleventh batch of
# the second epoch, in the same order and with the same random crops. In Descent order and crops are functions of (seed, epoch, image), so
# that the position is all that must be saved.
#
# ## The resumed run
# **Question 2.** How many of the tensors will be equal, bit for bit?

# %%
resumed = fit("runs/resumed", resume=checkpoint)
same, total = compare(uninterrupted, resumed)
print(f"{same} of {total} tensors are identical")

# %% [markdown]
# **Explanation.** All of them: weights, and the statistics of batch norm. Not "about equal": a difference in the last bit would grow,
# and nobody could tell a fault in resuming from chance.
#
# ## What if something is missing?
# **Question 3.** The state of the optimizer is deleted from the checkpoint. Which tensors are equal now?

# %%
content = torch.load(checkpoint, weights_only=False)
for state in content["optimizer_states"]:
    for moments in state["state"].values():
        for value in moments.values():
            value.zero_()
torch.save(content, "without_moments.ckpt")
forgetful = fit("runs/forgetful", resume="without_moments.ckpt")
same, total = compare(uninterrupted, forgetful)
print(f"without the moments of AdamW {same} of {total} tensors are identical")

# %% [markdown]
# **Explanation.** Only what no step changes after the loss of the moments, such as the counters of batch norm. The run goes on, its curves look
# as they should, and it is another run: AdamW begins again with $m = s = 0$, as if the gradients of the first 30 steps had never
# been. A resume that forgets something gives no error. That is why it is worth checking.
#
# ## Exercises
# 1. Where in the checkpoint is the learning rate of the cosine?
# <details><summary>Answer</summary>
#
# ```python
# content = torch.load(checkpoint, weights_only=False)
# print(sorted(content))
# print(content["lr_schedulers"][0]["_last_lr"])
# ```
# The state of the schedule holds it, and the number of its steps.
# </details>
#
# 2. You want to train ten epochs more than planned. Why are the weights then not those of a run that was planned so from the beginning?
# <details><summary>Answer</summary>
#
# The cosine is stretched over the whole run: the planned run would have had higher rates in the first part. Descent says so when a resumed
# run has another length.
# </details>
#
# On the command line: `descent fit --ckpt_path runs/quickstart/0` resumes; `descent verify-resume -c configs/quickstart.yaml` kills and
# resumes runs on your setup and compares the weights. [More about checkpoints](../docs/checkpoints.md).
