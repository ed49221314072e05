"""The GAN's networks: shapes, ranges, what spectral normalisation promises."""

from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules.networks import DCGANDiscriminator, DCGANGenerator


@pytest.mark.parametrize("size", [8, 32, 64])
def test_images_of_any_doubling_go_out_and_in(size: int) -> None:
    generator, discriminator = DCGANGenerator(3, size, 2, 5), DCGANDiscriminator(3, size, 2)
    images = generator(torch.randn(3, 5))
    assert images.shape == (3, 3, size, size)
    assert images.abs().max() <= 1
    logits = discriminator(images)
    assert logits.shape == (3,)
    logits.sum().backward()
    for network in (generator, discriminator):
        assert all(parameter.grad is not None for parameter in network.parameters())


def test_spectral_normalisation_bounds_the_largest_singular_value() -> None:
    torch.manual_seed(0)
    network = DCGANDiscriminator(1, 16, 4, normalisation="spectral")
    for _ in range(50):  # the power iteration goes on with each training batch
        network(torch.randn(2, 1, 16, 16))
    weights = [m.weight for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(weights) == 3
    for weight in weights:
        assert torch.linalg.svdvals(weight.detach().flatten(1))[0].item() == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 30}, r"size must be 4 times a power of 2 and ≥ 8 \(8, 16, 32, 64, …\), got 30"),
        ({"size": 4}, "size must be 4 times a power of 2 and ≥ 8"),
        ({"width": 0}, "width must be ≥ 1, got 0"),
        ({"normalisation": "layer"}, "normalisation must be 'batch', 'spectral' or 'none', got 'layer'"),
    ],
)
def test_refuses_what_is_out_of_range(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DCGANDiscriminator(**arguments)
