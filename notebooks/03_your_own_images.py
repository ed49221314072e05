# %% [markdown]
# # Your own images
# **You will learn** to train on a folder of images, to see what is done with them before the network gets them, and to judge a
# result by its baseline. **Time:** 15 minutes; the cells take less than a minute.
#
# You need one folder for each class: `FOLDER/<class>/….jpg`, of any size and mode. Set `folder` to yours. As long as there is
# none, the first cell draws an example: apples, limes and plums, a round fruit in front of a background.

# %%
# %matplotlib inline
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt
from PIL import Image, ImageDraw

from callbacks import EpochLines, plot_history
from datamodules import CropFlip, ImageFolderDataModule
from lightning_modules import ImageClassifier
from lightning_modules.networks import SmallCNN
from lightning_modules.schedulers import Cosine

folder = Path("images")
rng = np.random.default_rng(0)
fruit = {"apples": (190, 60, 50), "limes": (110, 170, 60), "plums": (110, 60, 130)}
for name, colour in {} if folder.exists() else fruit.items():
    (folder / name).mkdir(parents=True)
    for number in range(60):
        width, height = (int(side) for side in rng.integers(40, 90, 2))
        image = Image.new("RGB", (width, height), tuple(int(c) for c in rng.integers(60, 200, 3)))
        left, top, size = rng.integers(2, 15), rng.integers(2, 15), rng.integers(20, 30)
        shade = tuple(int(c) for c in np.array(colour) + rng.normal(0, 15, 3))
        ImageDraw.Draw(image).ellipse((int(left), int(top), int(left + size), int(top + size)), fill=shade)
        pixels = np.asarray(image) + rng.normal(0, 12, (height, width, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name / f"{number}.png")

# %% [markdown]
# ## What the network gets
# Every image is scaled so that it covers 32 × 32 pixels, and the middle is cut out (`resize="squash"` squeezes it instead). A
# fixed share of each class, about a fifth, is kept for the test; of the rest about a fifth is for validation.
#
# **Question 1.** What can get lost when the middle is cut out of a wide image?

# %%
seed_everything(0, verbose=False)
data = ImageFolderDataModule(str(folder), image_size=32, batch_size=16, val_share=0.2, augmentation=CropFlip())
data.prepare_data()
data.setup("fit")
print(data.class_names, f"{len(data.train_set)} images to train, {len(data.val_set)} to validate")
images, classes, _ = data.train_set.__getitems__(range(0, len(data.train_set), max(1, len(data.train_set) // 16)))
figure, axes = plt.subplots(2, 8, figsize=(9, 2.7))
for place, image, label in zip(axes.flat, images, classes, strict=False):
    place.imshow(image.permute(1, 2, 0))
    place.set_title(data.class_names[label], fontsize=9)
for place in axes.flat:
    place.axis("off")

# %% [markdown]
# **Explanation.** The fruit of the example lies at the upper left; in images that are much wider or higher than 32 pixels some of
# it is cut off. Look at your own images in this way before you train: a label that is wrong here, or an object that is not to
# be seen, cannot be mended by training.
#
# ## Training
# **Question 2.** There are three classes of the same size. Which accuracy would be a failure, even though it is above 30 %?

# %%
epochs = 12  # small: 2
module = ImageClassifier(
    SmallCNN(data.num_classes, data.channels, width=8), partial(torch.optim.AdamW, lr=3e-3), scheduler=Cosine()
)
options = {"enable_model_summary": False, "log_every_n_steps": 5}
trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), callbacks=[EpochLines()], **options)
trainer.fit(module, data)

# %%
plot_history(trainer.log_dir)

# %% [markdown]
# **Explanation.** The validation accuracy jumps up and down by several points from epoch to epoch: with 36 images a single one counts
# for nearly three points. Its highest value is partly luck, so do not quote it as the result. The validation loss is smoother, since it counts *how*
# sure the network was. Most of the time it is below
# the training loss, which is a mean over the epoch, of augmented images.

# %%
(found,) = trainer.test(module, data, verbose=False)
targets = data.test_set.images.targets[data.test_set.rows]
baseline = targets.bincount().max() / len(targets)
share = found["test/accuracy"]
error = (share * (1 - share) / len(targets)) ** 0.5
print(f"test accuracy {share:.1%} of {len(targets)} images, standard error {error:.1%}")
print(f"always the same class: {baseline:.1%}")

# %% [markdown]
# **Explanation.** 73.5 % is far better than 35.3 %, which the same answer for every image would give, and far from good. On 34 images the
# standard error $\sqrt{p\,(1 - p) / n}$ is 7.6 points, and the true accuracy may be twice that above or below. So the first remedy is more images; the
# second is in the figure at the top: some of the fruit was cut away.
#
# ## Exercises
# 1. Squeeze the images in the place of cutting out their middle (`resize="squash"`). Does that help here?
# <details><summary>Answer</summary>
#
# ```python
# squeezed = ImageFolderDataModule(str(folder), image_size=32, resize="squash", batch_size=16, val_share=0.2, augmentation=CropFlip())
# seed_everything(0, verbose=False)
# again = ImageClassifier(SmallCNN(data.num_classes, data.channels, width=8), partial(torch.optim.AdamW, lr=3e-3), scheduler=Cosine())
# retrainer = Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False, **options)
# retrainer.fit(again, squeezed)
# print(retrainer.test(again, squeezed, verbose=False))
# ```
# No fruit is cut away now, but wide and high images are distorted: 70.6 % in the place of 73.5 %. With a standard error of 7.6 points that
# is no difference: this test set is too small to tell.
# </details>
#
# 2. 950 of 1,000 images show a healthy leaf, and a network is right for 95 % of them. Is that good?
# <details><summary>Answer</summary>
#
# It is what "always healthy" gives. Look at the recall of the rare class, or at the balanced accuracy (the mean of the recalls of
# the classes); `descent evaluate --ckpt_path runs/pictures` shows both.
# </details>
#
# 3. You took ten photographs of each of 20 apples. Why must all ten of an apple go into the same set?
# <details><summary>Answer</summary>
#
# Else the network is tested on apples that it has been trained on, and may recognise a spot of that apple in the place of an apple. The test
# accuracy is then too good. Make the sets yourself: `images/train/<class>/` and `images/test/<class>/`.
# </details>
#
# The same on the command line, with an evaluation page, a page of predictions and a file for other programs:
#
#     descent fit -c configs/pictures.yaml --data.root images
#     descent evaluate --ckpt_path runs/pictures
#     descent predict --ckpt_path runs/pictures --images new_images
#     descent export --ckpt_path runs/pictures --to onnx
#
# [Use a trained network](../docs/using_a_trained_network.md) explains each of them. With few images start from a pretrained
# network: [notebook 11](11_fine_tune.ipynb).
