"""What holds for every network of ours that classifies images, whatever is in it."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lightning_modules import networks


def with_a_head(*args: Any, **sizes: Any) -> nn.Module:
    """Return a network whose last layer does not start at zero, which keeps the first gradient out of the body."""
    network = networks.FineTunedNetwork(*args, **sizes)
    for name in network.head_parameters():
        nn.init.normal_(network.get_parameter(name), std=0.1)
    return network


# name → (constructor that takes num_classes and in_channels, height and width of an image)
NETWORKS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "SmallCNN": (networks.SmallCNN, 8),
    "ResNet8": (networks.ResNet8, 16),
    "ResNet18Cifar": (networks.ResNet18Cifar, 16),
    "AirbenchNet": (networks.AirbenchNet, 16),
    # timm starts each residual branch at zero, which by design keeps the first gradient out of it
    "TimmNetwork": (lambda **sizes: networks.TimmNetwork("resnet10t", options={"zero_init_last": False}, **sizes), 64),
    "FineTunedNetwork": (lambda **sizes: with_a_head("resnet10t", options={"zero_init_last": False}, **sizes), 64),
    "TorchvisionNetwork": (lambda **sizes: networks.TorchvisionNetwork("squeezenet1_1", **sizes), 64),
}


def build(name: str, num_classes: int = 10, in_channels: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name][0](num_classes=num_classes, in_channels=in_channels)


def images(name: str, in_channels: int = 3) -> torch.Tensor:
    size = NETWORKS[name][1]
    return torch.randn(4, in_channels, size, size, generator=torch.Generator().manual_seed(1))


def test_every_image_classifier_is_in_the_table() -> None:
    other_tasks = {"MLP", "UNet", "DCGANGenerator", "DCGANDiscriminator"}  # features in; a logit per pixel out; a GAN's
    assert set(NETWORKS) == set(networks.__all__) - other_tasks


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("num_classes", "in_channels"), [(2, 1), (10, 3), (100, 4)])
def test_gives_one_logit_per_class_for_any_number_of_channels(name: str, num_classes: int, in_channels: int) -> None:
    logits = build(name, num_classes, in_channels)(images(name, in_channels))
    assert logits.shape == (4, num_classes)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_reaches_every_parameter(name: str) -> None:
    network = build(name)
    nn.functional.cross_entropy(network(images(name)), torch.arange(4)).backward()
    trained = {key: value for key, value in network.named_parameters() if value.requires_grad}
    assert trained
    assert [key for key, value in trained.items() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_gives_the_same_logits(name: str) -> None:
    network = build(name).eval()
    with torch.no_grad():
        expected = network(images(name))
        network.to(memory_format=torch.channels_last)
        actual = network(images(name).to(memory_format=torch.channels_last))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_trains_with_finite_gradients_in_bf16(name: str) -> None:
    network = build(name)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(images(name))
    nn.functional.cross_entropy(logits.float(), torch.arange(4)).backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_copy_with_the_same_state_gives_the_same_logits(name: str) -> None:
    network = build(name).eval()
    torch.manual_seed(7)
    other = NETWORKS[name][0](num_classes=10, in_channels=3).eval()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        expected = network(images(name))
        torch.testing.assert_close(other(images(name)), expected, rtol=0, atol=0)
        torch.testing.assert_close(copy.deepcopy(network)(images(name)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("argument", ["num_classes", "in_channels"])
def test_refuses_less_than_one(name: str, argument: str) -> None:
    with pytest.raises(ValueError, match=f"{argument} must be ≥ 1, got 0\\."):
        NETWORKS[name][0](**{argument: 0})
