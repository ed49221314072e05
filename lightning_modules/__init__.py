"""LightningModules by kind of task, and the networks, losses, optimizers and schedulers that go into them."""

from lightning_modules.binary_classifier import BinaryClassifier
from lightning_modules.gan import GAN
from lightning_modules.image_classifier import ImageClassifier
from lightning_modules.multilabel_classifier import MultilabelClassifier
from lightning_modules.regressor import Regressor
from lightning_modules.segmenter import Segmenter

__all__ = ["GAN", "BinaryClassifier", "ImageClassifier", "MultilabelClassifier", "Regressor", "Segmenter"]
