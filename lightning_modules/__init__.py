"""LightningModules by kind of task, and the networks, losses, optimizers and schedulers that go into them.

Open `base/supervised.py` first: it is the training step of every task but the GAN.
"""

from lightning_modules.adversarial.gan import GAN
from lightning_modules.tasks.binary_classifier import BinaryClassifier
from lightning_modules.tasks.image_classifier import ImageClassifier
from lightning_modules.tasks.multilabel_classifier import MultilabelClassifier
from lightning_modules.tasks.regressor import Regressor
from lightning_modules.tasks.segmenter import Segmenter

__all__ = ["GAN", "BinaryClassifier", "ImageClassifier", "MultilabelClassifier", "Regressor", "Segmenter"]
