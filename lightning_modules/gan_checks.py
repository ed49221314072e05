"""What is refused of a GAN before it trains: the trainer's flags for one optimizer alone, networks that do not fit."""

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from torch import nn

from lightning_modules.network_check import trial_output

OWN_NAMES = {"gradient_clip_val": "gradient_clip_val", "accumulate_grad_batches": "accumulate"}


def refuse_flags(trainer: Trainer) -> None:
    """Say what takes the place of the trainer's flags, before Lightning refuses them.

    Raises:
        MisconfigurationException: One is set.
    """
    for flag, own in OWN_NAMES.items():
        value = getattr(trainer, flag)
        if value not in (None, 0) and (flag, value) != ("accumulate_grad_batches", 1):
            raise MisconfigurationException(
                f"A GAN has two optimizers, for which Lightning has no {flag}: give --model.{own} {value} in place "
                f"of --trainer.{flag} {value} (GAN({own}={value}) in Python)."
            )


def check_networks(
    generator: nn.Module, discriminator: nn.Module, latent_size: int, picture: tuple[int, int, int]
) -> None:
    """Try the networks on noise and on a picture.

    Args:
        generator: Of noise `(B, latent_size)`.
        discriminator: Of pictures.
        latent_size: Numbers that a picture is made of.
        picture: `(C, H, W)` of the data.

    Raises:
        MisconfigurationException: They do not fit the data, or each other.
    """
    made = trial_output(generator, (latent_size,))
    if made != (2, *picture):
        raise MisconfigurationException(
            f"{type(generator).__name__} makes pictures of {made[1:]} (channels, height, width), the data's "
            f"are of {picture}: choose data and generator to match, e.g. --data.size or --model.generator.size."
        )
    logits = trial_output(discriminator, picture)
    if logits not in ((2,), (2, 1)):
        raise MisconfigurationException(
            f"{type(discriminator).__name__} gives {logits} for 2 pictures; expected (2,): a logit for each."
        )
