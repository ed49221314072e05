"""Whether a plateau can do in a run what it is there for."""

from __future__ import annotations

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_modules.schedulers.validations import validations_of

SMALLER_IS_BETTER = {"loss", "error", "mse", "mae", "rmse", "msle", "perplexity", "calibration_error"}
LARGER_IS_BETTER = {"accuracy", "accuracy_top5", "f1", "auroc", "iou", "jaccard", "dice", "precision", "recall", "r2"}


def check_mode(monitor: str, mode: str) -> None:
    """Refuse to wait for an accuracy to fall or for a loss to rise.

    Raises:
        MisconfigurationException: the name is one of those that everybody knows, and the mode is the other one.
    """
    name = monitor.rpartition("/")[2]
    right = "min" if name in SMALLER_IS_BETTER else "max" if name in LARGER_IS_BETTER else mode
    if mode != right:
        way = "smaller" if right == "min" else "larger"
        raise MisconfigurationException(
            f"The schedule monitors {monitor!r} with mode {mode}, and {name} is better the {way} it is: set mode:"
            f" {right}."
        )


def check_frequency(monitor: str, plateau: ReduceLROnPlateau, trainer: Trainer) -> None:
    """See that the run validates, and warn where it ends before the rate could ever be reduced.

    Raises:
        MisconfigurationException: the run does not validate at all.
    """
    seen = trainer.max_epochs if monitor.startswith("train/") else counted(trainer)
    if seen == 0:
        raise MisconfigurationException(
            f"The schedule monitors {monitor!r}, and this run does not validate: give the data a validation part, set"
            " trainer.limit_val_batches above 0 and trainer.check_val_every_n_epoch below the number of epochs, or"
            " choose a schedule that needs no validation (cosine)."
        )
    needed = plateau.patience + 2  # the first value is the best so far
    if seen is not None and 0 < seen < needed and not getattr(trainer, "fast_dev_run", False):
        rank_zero_warn(
            f"The schedule can never reduce the learning rate: with patience {plateau.patience} that takes {needed}"
            f" values of {monitor!r}, and the run has {seen}. Shorten patience or train longer."
        )


def counted(trainer: Trainer) -> int | None:
    """Return how often the run validates, `None` when unknown."""
    steps = validations_of(trainer)
    return None if steps is None else len(steps)
