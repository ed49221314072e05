# %% [markdown]
# # Quickstart: train, look, test
# **You will learn** to train a network on images, to read its learning curves, and to measure it on images that it has never
# seen. **Time:** 15 minutes to read and answer; the cells take less than a minute on a laptop, without a GPU.
#
# In each part: read the **question**, write your answer down, then run the cell.

# %% [markdown]
# ## The images
# 1,797 scans of handwritten digits, 8 × 8 pixels, which come with scikit-learn. The network gets an image $x$ and answers with
# ten numbers, the *logits* $z_0, …, z_9$. Softmax turns them into probabilities: $p_k = e^{z_k} / \sum_j e^{z_j}$.
#
# **Question 1.** Which digits below would you yourself get wrong at this resolution? How many of 100 would you guess right
# without looking?

# %%
# %matplotlib inline
from descent.allocator import tune_allocator

tune_allocator()  # makes training on a CPU faster; call it before importing torch

from functools import partial

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt

from callbacks import EpochLines, history, plot_history
from datamodules import DigitsDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN
from lightning_modules.schedulers import Cosine


def show(images, titles, columns=8):
    """Draw images (B, C, H, W) in a grid."""
    figure, axes = plt.subplots(-(-len(images) // columns), columns, figsize=(9, 1.4 * -(-len(images) // columns)))
    for place, image, text in zip(axes.flat, images, titles, strict=False):
        place.imshow(image.permute(1, 2, 0), cmap="gray_r")
        place.set_title(text, fontsize=9)
    for place in axes.flat:
        place.axis("off")
    figure.tight_layout()
    plt.show()


data = DigitsDataModule(batch_size=64)
data.setup("fit")
images, digits, _ = next(iter(data.train_dataloader()))
show(images[:16], digits[:16].tolist())

# %% [markdown]
# **Explanation.** Ten classes of about the same size: guessing is right for about 10 of 100. Most scans are easy for a person;
# some ones, sevens and nines are not.
#
# ## Training
# The loss of an image is the cross-entropy $L = -\log p_y$: the probability $p_y$ that the network gives to the true digit $y$.
# It is 0 for a network that is certain and right. A network that knows nothing gives each digit 1/10: $L = \log 10 = 2.30$.
#
# **Question 2.** How many of the 15 epochs (passes through the training images) will the network need to be right for 90 % of
# the validation images?

# %%
epochs = 15  # small: 2
seed_everything(0, verbose=False)
module = ImageClassifier(
    SmallCNN(num_classes=10, in_channels=1, width=16),
    optimizer=partial(torch.optim.AdamW, lr=3e-3),
    scheduler=Cosine(),
)
options = {"enable_model_summary": False, "log_every_n_steps": 10}
trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), callbacks=[EpochLines()], **options)
trainer.fit(module, data)

# %% [markdown]
# **Explanation.** After the first epoch the network is already far better than guessing, and from the second on it is right for
# more than 90 % of the validation images. The `*` marks the lowest validation loss so far. `lr` is the learning rate at the end
# of the epoch; it falls along a cosine from $\eta_0 = 0.003$ to 0 over the $T$ steps of the run:
# $\eta_t = \tfrac{1}{2} \eta_0 \, (1 + \cos(\pi t / T))$.
#
# ## Learning curves
# **Question 3.** Which loss will be lower in the end, that of the training or that of the validation images? Why?

# %%
plot_history(trainer.log_dir)

# %%
last = history(trainer.log_dir).iloc[-1]
print(f"last epoch: training loss {last['train/loss']:.4f}, validation loss {last['val/loss']:.4f}")

# %% [markdown]
# **Explanation.** The training loss goes on falling after the validation loss has settled: the network has learned the training
# images by heart, and gains nothing from it for images that it has not seen. The distance between the two is the
# *generalisation gap*. As long as the validation loss does not rise, it is harmless.
#
# ## The test
# The validation images have been looked at 15 times, and someone may have chosen the learning rate by them. So a third set is
# used once, at the end.
#
# **Question 4.** There are 359 test images. By how much can the measured accuracy differ from the true one by chance alone?

# %%
(found,) = trainer.test(module, data, verbose=False)
share, n = found["test/accuracy"], len(data.test_set)
error = (share * (1 - share) / n) ** 0.5
print(f"test accuracy {share:.1%} of {n} images, standard error {error:.1%}")

# %% [markdown]
# **Explanation.** Each image is a coin that shows "right" with probability $p$. The standard error of the share of $n$ coins is
# $\sqrt{p (1 - p) / n}$; about twice that, on both sides, covers the true value in 95 of 100 cases. Differences between networks that are smaller
# than this interval mean nothing on these test images.
#
# ## Exercises
# 1. Train with `lr=3e-5` and with `lr=3`. What do the curves look like?
# <details><summary>Answer</summary>
#
# ```python
# for lr in (3e-5, 3.0):
#     seed_everything(0, verbose=False)
#     network = SmallCNN(num_classes=10, in_channels=1, width=16)
#     other = ImageClassifier(network, partial(torch.optim.AdamW, lr=lr), scheduler=Cosine())
#     retrainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), enable_progress_bar=False, **options)
#     retrainer.fit(other, data)
#     print(lr, history(retrainer.log_dir)[["train/loss", "val/loss", "val/accuracy"]].iloc[-1].round(2).to_dict())
# ```
# With 3e-5 the loss falls so slowly that 15 epochs are not enough: both losses are near 2 in the end, and half of the validation images
# are right. With 3, a thousand times the rate above, the network still ends at 97 %: the cosine lowers every rate to 0, and batch norm
# makes the network insensitive to the size of its weights. Too small a rate is the more expensive mistake here.
# [Notebook 4](04_find_the_learning_rate.ipynb) finds a rate without trial and error.
# </details>
#
# 2. Compute the loss and the accuracy that a network has before it has learned anything.
# <details><summary>Answer</summary>
#
# ```python
# untrained = ImageClassifier(SmallCNN(num_classes=10, in_channels=1, width=16), partial(torch.optim.AdamW, lr=3e-3))
# Trainer(logger=False, **options).validate(untrained, data, verbose=False)
# ```
# The loss is near $\log 10 = 2.30$ and the accuracy near 10 %.
# </details>
#
# 3. How many test images would be needed to tell a network with 98.5 % from one with 99.0 %?
# <details><summary>Answer</summary>
#
# The standard errors must be clearly smaller than the difference of 0.5 points. For the difference of two networks they add up
# as $\sqrt{2 \cdot 0.01 / n}$ (with $p (1 - p) \approx 0.01$); twice that is below 0.005 for $n > 3{,}200$, if the two are tested
# on different images. On the same images fewer are enough.
# </details>
#
# On the command line: `descent fit -c configs/quickstart.yaml`. More in [the tutorial](../docs/tutorial.md).
