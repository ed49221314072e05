"""LightningModules by kind of task, and the networks, losses, optimizers and schedulers that go into them."""

from lightning_modules.image_classifier import ImageClassifier

__all__ = ["ImageClassifier"]
