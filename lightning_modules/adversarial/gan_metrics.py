"""What a GAN logs of a batch: both losses, and how often the discriminator is right."""

from torch import Tensor, nn

from lightning_modules.losses.adversarial import AdversarialLoss

LOSSES = ("generator_loss", "discriminator_loss")
BATCH_METRICS = (*LOSSES, "real_accuracy", "fake_accuracy")


def discriminator_metrics(
    loss: AdversarialLoss, discriminator: nn.Module, real: Tensor, fake: Tensor
) -> dict[str, Tensor]:
    """Return the discriminator's loss first, then its accuracy on real and on generated images."""
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    return {
        "discriminator_loss": loss.discriminator(real_logits, fake_logits),
        "real_accuracy": (real_logits.detach() > loss.boundary).float().mean(),
        "fake_accuracy": (fake_logits.detach() <= loss.boundary).float().mean(),
    }


def add_chunk(sums: dict[str, Tensor], values: dict[str, Tensor], share: float) -> None:
    """Add the means over a chunk, `share` of the batch, to those of the whole batch, on the device."""
    for name, value in values.items():
        part = value.detach() * share
        sums[name] = sums[name] + part if name in sums else part
