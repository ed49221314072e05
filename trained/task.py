"""Which modules a command understands, and what to do with the others."""

from lightning.fabric.utilities.exceptions import MisconfigurationException

from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier
from trained.loading import Trained

Classifier = ImageClassifier | BinaryClassifier | MultilabelClassifier


def answering(trained: Trained) -> Classifier:
    """The module, if it answers with classes or labels.

    Raises:
        MisconfigurationException: It does not.
    """
    if isinstance(trained.module, ImageClassifier | BinaryClassifier | MultilabelClassifier):
        return trained.module
    raise MisconfigurationException(
        f"{trained.checkpoint} is of {_name(trained)}, which gives neither classes nor labels: "
        "descent predict without --images writes what it gives for the run's test data."
    )


def choosing(trained: Trained) -> ImageClassifier | BinaryClassifier:
    """The module, if it chooses one class.

    Raises:
        MisconfigurationException: It does not.
    """
    if isinstance(trained.module, ImageClassifier | BinaryClassifier):
        return trained.module
    raise MisconfigurationException(
        f"{trained.checkpoint} is of {_name(trained)}, which does not choose one class: "
        "descent test measures it by metrics of its own."
    )


def _name(trained: Trained) -> str:
    return type(trained.module).__name__
