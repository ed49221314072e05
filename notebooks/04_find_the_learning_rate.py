# %% [markdown]
# # Find the learning rate
# **You will learn** to read the curve of a learning-rate range test, why its suggestions differ, and why the best rate depends on
# the optimizer and on the length of the run. **Time:** 15 minutes; the cells take about a minute.
#
# ## The range test
# Train a copy of the network for some 100 steps. In step $t$ of $T$ the rate is
#
# $$\eta_t = \eta_{\text{low}} \left( \frac{\eta_{\text{high}}}{\eta_{\text{low}}} \right)^{t / T},$$
#
# so that it rises by the same factor in each step (Smith, 2015). Draw the loss over the rate.
#
# **Question 1.** Sketch the curve that you expect: what does the loss do at rates that are far too small, right, far too large?

# %%
# %matplotlib inline
from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt

from callbacks import find_lr, history
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN
from lightning_modules.schedulers import Cosine

steps = 140  # small: 40
data = DigitsDataModule(batch_size=64)


def classifier(optimizer):
    torch.manual_seed(0)
    return ImageClassifier(SmallCNN(10, 1, width=16), optimizer, scheduler=Cosine())


module = classifier(partial(torch.optim.SGD, lr=0.1, momentum=0.9))
search = find_lr(module, data, high=100.0, steps=steps, run_steps=100, accelerator="cpu")
search.plot()

# %%
print(search.summary())

# %% [markdown]
# **Explanation.** Below a rate of about $10^{-3}$ nothing happens: the steps are too short. Then the loss falls, is lowest near 0.2, and
# rises steeply: the steps jump over the valley. The coloured points are rules of thumb for one and the same curve, and they differ by
# a factor of 7 (0.0159 to 0.116). That is why `find_lr` does not stop there: it trains a few short runs at rates around the minimum, with the
# schedule of the whole run, and judges them by held-out images. The best rate falls with the length of a run, so the best of the runs
# of 30 steps is carried over to the 100 steps of yours: 0.302. On so few steps the search is not exact: rates up to 0.411 may be as good.
#
# ## Does it hold?
# The module, the data and all random generators are as they were before the search. So the rates can be tried, each in a run of
# five epochs (100 steps).
#
# **Question 2.** Order these by the validation loss that they will reach: a hundredth of the rate that was found, a tenth of it, the
# rate itself, ten times the rate.

# %%
factors = [0.01, 0.1, 1, 10]
epochs = 5  # small: 1
reached = []
for factor in factors:
    seed_everything(0, verbose=False)
    options = {"enable_model_summary": False, "enable_progress_bar": False, "log_every_n_steps": 10}
    trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), accelerator="cpu", **options)
    trainer.fit(classifier(partial(torch.optim.SGD, lr=factor * search.pick, momentum=0.9)), data)
    reached.append(history(trainer.log_dir)["val/loss"].iloc[-1])
    print(f"{factor:>5} × {search.pick:g}: validation loss {reached[-1]:.3f}")
figure, axes = plt.subplots(figsize=(5, 3))
axes.loglog([factor * search.pick for factor in factors], reached, "o-", color="#0072B2")
axes.axvline(search.pick, color="#D55E00", linestyle="--", label="found")
axes.set(xlabel="learning rate", ylabel="validation loss after 5 epochs")
axes.yaxis.set_major_formatter("{x:g}")
axes.xaxis.set_major_formatter("{x:g}")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# **Explanation.** At a hundredth of the rate the network has hardly begun to learn after five epochs. At a tenth the loss is nearly twice
# that of the rate that was found (0.149 and 0.081). At ten times the rate it is higher still, although the cosine lowers the rate to 0.
# What counts is the factor, not the difference: that is why rates are searched on a logarithmic scale.
#
# ## Another optimizer
# Adam divides each gradient by a running estimate of its size, so its steps are about as long as the rate itself, however small the
# gradients are: $\theta \leftarrow \theta - \eta \, \hat m / (\sqrt{\hat v} + \epsilon)$.
#
# **Question 3.** Will the best rate of AdamW be larger or smaller than that of SGD with momentum?

# %%
adam = find_lr(
    classifier(partial(torch.optim.AdamW, lr=1e-3)), data, high=100.0, steps=steps, run_steps=100, accelerator="cpu"
)
print(f"SGD with momentum {search.pick:g}, AdamW {adam.pick:g}")

# %% [markdown]
# **Explanation.** The best rate of AdamW is some 20 times smaller. SGD multiplies the rate by the gradient, which is small here;
# AdamW's steps are about as long as the rate itself. Whoever replaces SGD by Adam and keeps the rate compares nothing but rates.
#
# ## Exercises
# 1. Search the rate for a run of 1,000 steps in the place of 100 (`run_steps=1000`). What do you expect?
# <details><summary>Answer</summary>
#
# ```python
# longer = find_lr(module, data, high=100.0, steps=steps, run_steps=1000, accelerator="cpu")
# print(f"100 steps: {search.pick:g}, 1,000 steps: {longer.pick:g}")
# ```
# The rate is smaller, 0.191 in place of 0.302 with the settings above: in a long run there is time for small steps, and what is unstable
# has more time to go wrong.
# </details>
#
# 2. Why does the range test not simply take the rate at which the loss is lowest?
# <details><summary>Answer</summary>
#
# At that rate of the test the network has profited from all the smaller rates before. The loss begins to rise right behind it: it is at
# the edge of what is stable. `minimum tenth` in the summary is a tenth of it, a usual rule.
# </details>
#
# 3. Name two changes of the setup after which you must search again.
# <details><summary>Answer</summary>
#
# Another optimizer, another batch size, another network, another length of the run. Within a run you need no search: the schedule
# lowers the rate.
# </details>
#
# On the command line: `descent find-lr -c configs/quickstart.yaml` writes the figure, the numbers, and a config with the rate.
# More in [the how-to](../docs/howto.md).
