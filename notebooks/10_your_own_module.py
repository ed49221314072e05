# %% [markdown]
# # Your own LightningModule
# **You will learn** to use the callbacks, the learning-rate search and exact resume with a LightningModule that knows nothing of
# Descent. **Time:** 10 minutes; the cells take less than a minute.
#
# ## The task
# Each token of a sequence gets a tag that depends on the token *before* it: $y_t = x_{t-1} \bmod 4$. A recurrent network (GRU) reads
# the tokens one after the other, and must remember the last one.
#
# **Question 1.** The loss is the cross-entropy of four tags. What is it before training? And which learning rate would you begin with?
# (The module has 0.0001.)

# %%
# %matplotlib inline
import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from callbacks import BlackBox, Diagnostics, DurableCheckpoint, ExactResume, GradientNorm, find_lr

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


# %%
def trainer(folder, epochs):
    callbacks = [
        ExactResume(seed=1),
        DurableCheckpoint(dirpath=folder),
        GradientNorm(),
        Diagnostics(),
        BlackBox(),
    ]
    options = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return L.Trainer(max_epochs=epochs, callbacks=callbacks, default_root_dir=folder, accelerator="cpu", **options)


def trained(folder, epochs, ckpt_path=None):
    torch.manual_seed(0)
    module = Tagger(search.pick)
    trainer(folder, epochs).fit(module, loader(0, True), loader(1, False), ckpt_path=ckpt_path)
    return module


whole = trained("whole", epochs)
trained("stopped", epochs // 2)
resumed = trained("stopped", epochs, ckpt_path="stopped/last.ckpt")
print("the same bits:", all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True)))

# %% [markdown]
# [What was tried with modules of 47 styles](../docs/your_own_module.md).
