# %% [markdown]
# # Your own LightningModule
# **You will learn** to use the learning-rate search, the callbacks and exact resume with a LightningModule that knows nothing of
# Descent. **Time:** 15 minutes; the cells take less than a minute.
#
# ## The task
# Each token of a sequence of twelve gets a tag that depends on the token *before* it: $y_t = x_{t-1} \bmod 4$. A recurrent network (GRU)
# reads the tokens one after the other and must remember the last one. The first tag depends on the last token of the sequence, which the
# network has not read yet: it can only be guessed.
#
# **Question 1.** The loss is the cross-entropy of the tags. What is it before training, and what is the lowest value that a network can
# reach on new sequences? Which learning rate would you begin with? (The module has 0.0001.)

# %%
# %matplotlib inline
import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks import BlackBox, DurableCheckpoint, ExactResume, GradientNorm, find_lr, history
from foundation.figure_style import log_numbers

epochs = 10  # small: 2


class Tagger(L.LightningModule):
    """Tag each token of a sequence with a recurrent network."""

    def __init__(self, lr: float = 1e-4) -> None:
        super().__init__()
        self.embed, self.gru, self.lr = nn.Embedding(20, 16), nn.GRU(16, 32, batch_first=True), lr
        self.head = nn.Linear(32, 4)

    def step(self, batch, stage):
        tokens, tags = batch
        hidden, _ = self.gru(self.embed(tokens))
        loss = nn.functional.cross_entropy(self.head(hidden).transpose(1, 2), tags)
        self.log(f"{stage}_loss", loss, on_step=False, on_epoch=True)
        return loss

    def training_step(self, batch, batch_idx):
        return self.step(batch, "train")

    def validation_step(self, batch, batch_idx):
        self.step(batch, "val")

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def loader(seed, shuffle):
    """Sequences of which each tag depends on the token before."""
    tokens = torch.randint(20, (512, 12), generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(tokens, tokens.roll(1, dims=1) % 4), batch_size=32, shuffle=shuffle)


torch.manual_seed(0)
search = find_lr(Tagger(), loader(0, True), run_steps=16 * epochs, accelerator="cpu")
print(search.summary())

# %% [markdown]
# **Explanation.** A network that knows nothing gives each of four tags 1/4: the loss is $\log 4 = 1.386$. Eleven of twelve tags can be
# known, so the mean over the tags cannot fall below $\log 4 / 12 = 0.116$ on new sequences. The short runs of the search come near to
# it already. The rate that was found is more than a hundred times that of the module.
#
# ## Training with callbacks
# `GradientNorm` measures each step, `BlackBox` records the origin of a NaN, `DurableCheckpoint` and `ExactResume` save so that nothing
# is lost. None of them needs anything from the module.
#
# **Question 2.** Where will the validation loss be after ten epochs, with each of the two rates?


# %%
def trained(folder, epochs, lr=search.pick, ckpt_path=None, report=False):
    torch.manual_seed(0)
    module = Tagger(lr)
    callbacks = [ExactResume(seed=1), DurableCheckpoint(dirpath=folder), GradientNorm(report=report), BlackBox()]
    options = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    logger = CSVLogger(folder, "", "")
    trainer = L.Trainer(max_epochs=epochs, callbacks=callbacks, logger=logger, log_every_n_steps=4, **options)
    trainer.fit(module, loader(0, True), loader(1, False), ckpt_path=ckpt_path)
    return module


slow, whole = trained("slow", epochs, lr=1e-4), trained("whole", epochs, report=True)
figure, axes = plt.subplots(figsize=(6, 3.2))
for name, rate, color in (("slow", 1e-4, "#0072B2"), ("whole", search.pick, "#D55E00")):
    losses = history(name)["val_loss"]
    axes.semilogy(range(1, len(losses) + 1), losses, "o-", color=color, label=f"rate {rate:g}")
    print(f"rate {rate:g}: validation loss {losses.iloc[-1]:.3f}")
axes.axhline(0.1155, color="0.5", linestyle=":", label="lowest possible")
log_numbers(axes.yaxis)
axes.set(xlabel="epoch", ylabel="validation loss")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# **Explanation.** With the rate of the module ten epochs take the loss from $1.386$ to 1.350. With the rate that was found it is near the lowest
# possible value after three epochs. It stays a little above it: what the network learns about the first tag from 512 sequences is chance, and does not
# hold for new ones. The report on the gradient norms suggests no clipping: no step is much longer than the usual ones.
#
# ## Exact resume
# **Question 3.** A run is stopped at half of its epochs and resumed. In how many of the first five digits will its weights equal those of the
# run that was never stopped?

# %%
trained("stopped", epochs // 2)
resumed = trained("stopped", epochs, ckpt_path="stopped/last.ckpt")
print("the same bits:", all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)))

# %% [markdown]
# **Explanation.** In all digits, those that are not printed included. `ExactResume` saves the random generators and the position in
# the shuffled data; the rest (weights, moments of AdamW, counters) is in every Lightning checkpoint.
#
# ## Exercises
# 1. Which learning rate would `find_lr` choose for SGD with momentum? Guess first.
# <details><summary>Answer</summary>
#
# ```python
# class WithSGD(Tagger):
#     def configure_optimizers(self):
#         return torch.optim.SGD(self.parameters(), lr=self.lr, momentum=0.9)
#
#
# torch.manual_seed(0)
# print(find_lr(WithSGD(), loader(0, True), high=100.0, run_steps=16 * epochs, accelerator="cpu").pick)
# ```
# 0.72, fifty times that of AdamW: SGD multiplies the rate by the gradient, and the report above says how small gradients are here.
# </details>
#
# 2. Use `callbacks.Diagnostics()` with the module. Which layer has the largest gradient?
# <details><summary>Answer</summary>
#
# ```python
# from callbacks import Diagnostics
#
# torch.manual_seed(0)
# watch = Diagnostics(every_n_steps=5)
# options = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False, "enable_model_summary": False}
# L.Trainer(max_epochs=2, callbacks=[watch], **options).fit(Tagger(search.pick), loader(0, True))
# print({layer: round(value, 3) for _, _, layer, quantity, value in watch.rows[-20:] if quantity == "gradient"})
# ```
# In the last measured step the GRU (0.094), closely followed by the last layer (0.084); the embedding has a quarter of that.
# </details>
#
# [What was tried with modules of 47 styles](../docs/your_own_module.md).
