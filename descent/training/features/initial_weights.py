"""Find out whether the weights that a run starts from can be had before its images are decoded, which may take long."""

from inspect import signature
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule
from lightning.pytorch import Trainer as LightningTrainer

from callbacks.checkpointing.reading import read_checkpoint
from foundation.compat.lightning import loads_unasked
from foundation.errors import UserError
from lightning_modules.base.epoch_module import EpochModule
from lightning_modules.weights.mismatch import describe_mismatch, named_alike


class WeightsFirst(LightningTrainer):
    """Lightning's Trainer, which loads the initial weights of our modules before the data is prepared.

    Lightning prepares the data before the module has a hook that knows whether a checkpoint will be loaded.
    """

    def fit(self, *args: Any, **kwargs: Any) -> None:
        """Load them, and fit."""
        self.load_initial_weights("fit", *args, **kwargs)
        super().fit(*args, **kwargs)

    def validate(self, *args: Any, **kwargs: Any) -> Any:
        """Load them, and validate."""
        self.load_initial_weights("validate", *args, **kwargs)
        return super().validate(*args, **kwargs)

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Load them, and test."""
        self.load_initial_weights("test", *args, **kwargs)
        return super().test(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Load them, and predict."""
        self.load_initial_weights("predict", *args, **kwargs)
        return super().predict(*args, **kwargs)

    def load_initial_weights(self, command: str, *args: Any, **kwargs: Any) -> None:
        """Load the weights that the module of a call starts from, unless a checkpoint will be loaded.

        Args:
            command: `fit`, `validate`, `test` or `predict`.
            *args: Of the call.
            **kwargs: Of the call.

        Raises:
            UserError: They cannot be had, or do not fit.
        """
        given = signature(getattr(LightningTrainer, command)).bind(self, *args, **kwargs).arguments
        model, given_path = given.get("model"), given.get("ckpt_path")
        if isinstance(model, EpochModule) and given_path is None and not loads_unasked(self):
            model.require_initial_weights()


def load_weights(model: LightningModule, path: Path) -> None:
    """Load the weights of a checkpoint into a module without a trainer, whose hooks do not check them.

    Raises:
        UserError: The file is no checkpoint, or one of another network.
    """
    state = named_alike(read_checkpoint(path)["state_dict"], model.state_dict())
    if wrong := describe_mismatch(state, model.state_dict()):
        raise UserError(f"{path} is a checkpoint of another network than {type(model).__name__}'s: {wrong}.")
    model.load_state_dict(state)
