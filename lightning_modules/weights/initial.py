"""Load the weights that a new run starts from, and say which layers got them."""

from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn

from foundation.errors import UserError
from lightning_modules.weights.matching import match
from lightning_modules.weights.mismatch import capped, shape_of
from lightning_modules.weights.reading import read_weights


def load_initial_weights(network: nn.Module, path: str | Path, strict: bool = True) -> str:
    """Copy the weights of a file into a network, and return a sentence that says which.

    The last layer keeps its initial values if it has another number of outputs than in the file.

    Args:
        network: The network.
        path: As for `read_weights`.
        strict: Whether any other layer that does not fit is an error.

    Raises:
        UserError: The file cannot be read, or does not fit.
    """
    tensors, what = read_weights(Path(path).expanduser())
    own = network.state_dict()
    found = match(tensors, own)
    name = type(network).__name__
    if not found.taken:
        raise UserError(f"weights: no layer of {what} fits {name}: {found.mismatch}.")
    if found.mismatch and strict:
        raise UserError(
            f"weights: {what} does not fit {name}: {found.mismatch}. Choose the network that it was made with, or take "
            "the layers that fit: --model.weights_strict false."
        )
    with torch.no_grad():
        for key, value in found.taken.items():
            own[key].copy_(value)
    sizes = {key: shape_of(value) for key, value in own.items()}
    new = [f"{key} {sizes.get(key, '')}".strip() for key in found.new]
    how = " (by order and shape: the names are of another library)" if found.by_order else ""
    return (
        f"Weights of {what}{how}: {len(found.taken)} of {len(own)} tensors of {name} taken; "
        f"new: {capped(new) or 'none'}; left over: {capped(found.left) or 'none'}"
        f"{'; not of the network: ' + capped(found.outside) if found.outside else ''}."
    )


class InitialWeights(Callback):
    """Report on the initial weights of our modules, unless a checkpoint has replaced them. Our modules add it."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        if trainer.ckpt_path is None:
            pl_module.report_initial_weights()  # type: ignore[operator]

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report where nothing is trained."""
        self.on_fit_start(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        self.on_fit_start(trainer, pl_module)

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        self.on_fit_start(trainer, pl_module)
