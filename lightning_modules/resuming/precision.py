"""Load checkpoints of a run in 64 bit without rounding them."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins import DoublePrecision


def convert_before_loading(trainer: Trainer, module: LightningModule) -> None:
    """Convert the weights of a run in 64 bit (`precision: 64-true`) in a callback's `setup`.

    Lightning converts them too, but only after it has loaded a checkpoint into them, which 32-bit weights round.
    Weights in 16 bit pass through 32 bit unchanged.

    Args:
        trainer: The trainer.
        module: Its module.
    """
    if isinstance(trainer.precision_plugin, DoublePrecision):
        trainer.precision_plugin.convert_module(module)
