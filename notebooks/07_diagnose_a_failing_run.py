# %% [markdown]
# # Diagnose a failing run
# **You will learn** to recognise dead units, vanishing gradients and exploding gradients from what each layer does, and what gradient clipping changes. **Time:** 25 minutes; the cells take about a minute.
#
# Three runs on the digits fail, each for another reason, and all three end at the accuracy of guessing. A look inside tells them apart.

# %%
# %matplotlib inline
from functools import partial

import pandas as pd
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt
from torch import nn

from callbacks import Diagnostics, GradientNorm, history
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier

epochs = 3  # small: 1


def deep(layers, activation):
    """Make a network of linear layers with 64 units."""
    hidden = [part for _ in range(layers) for part in (nn.Linear(64, 64), activation())]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(64, 10))


def train(network, rate=0.05, clip=None):
    """Train it; return its accuracies, the run's folder, and what was measured in each layer."""
    module = ImageClassifier(network, partial(torch.optim.SGD, lr=rate, momentum=0.9))
    watch = [Diagnostics(every_n_steps=5), GradientNorm()]
    options = {"enable_progress_bar": False, "enable_model_summary": False, "log_every_n_steps": 1}
    trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), callbacks=watch, gradient_clip_val=clip, **options)
    trainer.fit(module, DigitsDataModule(batch_size=64))
    layers = pd.read_csv(f"{trainer.log_dir}/diagnostics.csv")
    return history(trainer.log_dir)[["train/loss", "val/accuracy"]], trainer.log_dir, layers


# %% [markdown]
# ## 1. Dead units
# A ReLU passes on $\max(0, z)$. Its derivative is 0 for $z < 0$: a unit that is 0 for every image gets no gradient any more. Here the biases of the second layer are set far below zero.
#
# **Question 1.** Which layers will stop to learn: the second, those before it, or those after it?

# %%
seed_everything(0, verbose=False)
network = deep(2, nn.ReLU)
nn.init.constant_(network[3].bias, -20.0)
failing, _, _ = train(network)
failing

# %% [markdown]
# **Explanation.** Accuracy stays at that of guessing. The first lines say why: all units of `network.4`, the second ReLU, are dead. Its own layer (`network.3`) and the layer before it (`network.1`) get no gradient and do not move. Only the last layer (`network.5`) learns, and all that it can learn is its bias: how common each digit is. The findings after it are no other faults, they follow from it: read from the top.
#
# ## 2. Vanishing gradients
# Going back from layer $l + 1$ to layer $l$, the gradient is multiplied by the weights and by the slope of the activation: $\delta_l = W_{l+1}^\top \delta_{l+1} \odot f'(z_l)$. The slope of the sigmoid is at most 1/4.
#
# **Question 2.** A network has eight layers with sigmoids. By what factor, at most, do eight such slopes shrink a gradient?

# %%
gradients = {}
for name, activation in {"sigmoid": nn.Sigmoid, "ReLU": nn.ReLU}.items():
    seed_everything(0, verbose=False)
    network = deep(8, activation)
    if name == "ReLU":
        for layer in network:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight)  # variance 2 / 64: ReLU halves it in each layer
    curve, _, layers = train(network)
    first = layers[(layers.quantity == "gradient") & (layers.step == layers.step.min())]
    gradients[name] = first.value.to_numpy()
    print(f"{name}: validation accuracy {curve['val/accuracy'].iloc[-1]:.0%}")

# %%
figure, axes = plt.subplots(figsize=(6, 3.2))
for (name, norms), color in zip(gradients.items(), ("#0072B2", "#D55E00"), strict=True):
    axes.semilogy(range(1, len(norms) + 1), norms, "o-", label=name, color=color)
    print(f"{name}: gradient of the first layer / of the last layer {norms[0] / norms[-1]:.1g}")
axes.set(xlabel="layer (1 is next to the image)", ylabel="norm of its gradient", title="at the first measured step")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# **Explanation.** $(1/4)^8 = 1.5 \cdot 10^{-5}$, and the weights, which are small too, shrink it further. From the last layer to the first the gradient falls by the same factor in each layer: a straight line on the logarithmic axis. With ReLUs and weights of variance $2 / n$ (He initialisation) it is as large in the first layer as in the last: the slope is 1 for half of the units, and the factor 2 makes up for the other half. Both networks have the same layers and the same learning rate. One stays at guessing, the other learns.
#
# ## 3. Exploding gradients, and clipping
# Weights that are too large multiply the gradient up in each layer in the place of shrinking it. Clipping by norm limits the length of a step and keeps its direction: $g \leftarrow g \cdot \min(1, c / \lVert g \rVert)$.
#
# **Question 3.** The weights of the ReLU network are doubled. What will happen without clipping? Will clipping at $c = 1$ repair it?

# %%
runs = {}
for name, clip in {"without clipping": None, "clipped at 1": 1.0}.items():
    seed_everything(0, verbose=False)
    network = deep(4, nn.ReLU)
    for layer in network:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data *= 2
    curve, folder, _ = train(network, clip=clip)
    runs[name] = pd.read_csv(f"{folder}/metrics.csv").dropna(subset="grad_norm/total")
    print(f"\n{name}: validation accuracy {curve['val/accuracy'].iloc[-1]:.0%}\n")

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), sharey=True)
for place, (name, run) in zip(axes, runs.items(), strict=True):
    place.semilogy(run.step, run["grad_norm/total"], color="#0072B2", label="before clipping")
    if "grad_norm/clipped" in run:
        place.semilogy(run.step, run["grad_norm/clipped"], color="#D55E00", label="after clipping")
    place.set(title=name, xlabel="step")
    place.legend(frameon=False)
axes[0].set_ylabel("gradient norm")
plt.show()

# %% [markdown]
# **Explanation.** Without clipping the gradient norm rises to more than $10^{13}$ within the first 20 steps. Then one step throws the weights so far away that whole layers are dead, and nothing happens any more: the norm is small, and the run is lost. A look at the end of the curve alone would say "vanishing". With clipping no step is longer than the rate allows (orange), the norm before clipping (blue) falls as the network learns, and the accuracy is that of the healthy network above. But the report says that *all* steps were clipped: then clipping does not catch rare accidents, it acts as a smaller learning rate. It has treated the symptom; the cause is the initialisation.
#
# ## Exercises
# 1. Repair the first run without touching the bias. Try `nn.LeakyReLU`, `nn.GELU`, and batch norm before each ReLU.
# <details><summary>Answer</summary>
#
# ```python
# normalised = lambda: nn.Sequential(nn.BatchNorm1d(64), nn.ReLU())
# for name, activation in {"LeakyReLU": nn.LeakyReLU, "GELU": nn.GELU, "batch norm and ReLU": normalised}.items():
#     seed_everything(0, verbose=False)
#     network = deep(2, activation)
#     nn.init.constant_(network[3].bias, -20.0)
#     print(name, train(network)[0]["val/accuracy"].iloc[-1])
# ```
# LeakyReLU and GELU, the usual advice, do not help within three epochs: so far below zero GELU has no slope either, and LeakyReLU
# has one of 0.01. Batch norm, which the finding advises, subtracts the mean of each unit, and with it the bias: the network learns,
# and is right about 94 % of the validation images.
# </details>
#
# 2. Put a `nn.BatchNorm1d(64)` before each sigmoid of the network with eight layers. Does it learn?
# <details><summary>Answer</summary>
#
# ```python
# seed_everything(0, verbose=False)
# network = deep(8, lambda: nn.Sequential(nn.BatchNorm1d(64), nn.Sigmoid()))
# print(train(network)[0]["val/accuracy"].iloc[-1])
# ```
# Yes: 88 % of the validation images after three epochs. Batch norm brings the inputs of each sigmoid to where its slope is largest, and
# scales up what the layers before have shrunk.
# </details>
#
# 3. What happens to the exploding run at a tenth of the learning rate, without clipping?
# <details><summary>Answer</summary>
#
# ```python
# seed_everything(0, verbose=False)
# network = deep(4, nn.ReLU)
# for layer in network:
#     if isinstance(layer, nn.Linear):
#         nn.init.kaiming_normal_(layer.weight)
#         layer.weight.data *= 2
# print(train(network, rate=0.005)[0]["val/accuracy"].iloc[-1])
# ```
# It learns, and reaches 79 %: about as far as with clipping. With clipped steps the full rate was a smaller one in disguise.
# </details>
#
# On the command line: `descent fit -c configs/quickstart.yaml --trainer.callbacks+=callbacks/diagnostics.yaml --trainer.callbacks+=callbacks/gradient_norm.yaml` writes the page `diagnostics.html`. [How to read it](../docs/inside.md).
