"""Checks of a GAN before training: arguments, trainer flags, and the shapes of its networks."""

from lightning.pytorch import Trainer
from torch import nn

from foundation.argument_checks import require_between, require_choice
from foundation.errors import UserError
from lightning_modules.base.task import trial_output

OWN_ARGUMENTS = {"gradient_clip_val": "gradient_clip_val", "accumulate_grad_batches": "accumulate"}


def check_arguments(generator: nn.Module, clip_val: float | None, clip_algorithm: str, accumulate: int) -> None:
    """Check what the constructor gets.

    Raises:
        ValueError: An argument is outside its range, or the generator has no `latent_size`.
    """
    if clip_val is not None and not clip_val > 0:
        raise ValueError(f"gradient_clip_val must be > 0, or null for none, got {clip_val}.")
    require_choice("gradient_clip_algorithm", clip_algorithm, ("norm", "value"))
    require_between("accumulate", accumulate, 1)
    if not isinstance(getattr(generator, "latent_size", None), int):
        raise ValueError(f"{type(generator).__name__} must have an attribute latent_size, the size of its input.")


def check_trainer_flags(trainer: Trainer) -> None:
    """Name the arguments of GAN that replace flags of the trainer, before Lightning rejects the flags.

    Raises:
        UserError: Such a flag is set.
    """
    for flag, own in OWN_ARGUMENTS.items():
        value = getattr(trainer, flag)
        if value not in (None, 0) and (flag, value) != ("accumulate_grad_batches", 1):
            raise UserError(
                f"A GAN has two optimizers, for which Lightning has no {flag}: use --model.{own} {value} in place "
                f"of --trainer.{flag} {value} (GAN({own}={value}) in Python)."
            )


def check_networks(
    generator: nn.Module, discriminator: nn.Module, latent_size: int, image: tuple[int, int, int]
) -> None:
    """Run the generator on noise and the discriminator on an image.

    Args:
        generator: Maps noise `(B, latent_size)` to images.
        discriminator: Maps images to logits.
        latent_size: Size of a noise vector.
        image: `(C, H, W)` of the data.

    Raises:
        UserError: They do not fit the data, or each other.
    """
    generated = trial_output(generator, (latent_size,))
    if generated != (2, *image):
        raise UserError(
            f"{type(generator).__name__} makes images of {generated[1:]} (channels, height, width), the data's "
            f"are of {image}: choose data and generator to match, e.g. --data.size or --model.generator.size."
        )
    logits = trial_output(discriminator, image)
    if logits not in ((2,), (2, 1)):
        raise UserError(f"{type(discriminator).__name__} gives {logits} for 2 images; expected (2,): a logit for each.")
