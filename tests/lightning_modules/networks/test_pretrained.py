import urllib.error
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torchvision import models

from lightning_modules.networks import TimmNetwork, TorchvisionNetwork


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_timm_network_is_timms_own() -> None:
    ours, theirs = TimmNetwork("resnet10t", num_classes=7), timm.create_model("resnet10t", num_classes=7)
    theirs.load_state_dict(ours.model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=0, atol=0)


def test_torchvision_network_is_torchvisions_own() -> None:
    ours, theirs = TorchvisionNetwork("squeezenet1_1", num_classes=7), models.squeezenet1_1(num_classes=7)
    theirs.load_state_dict(ours.model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(ours.eval()(images), theirs.eval()(images), rtol=0, atol=0)


def test_options_reach_the_network() -> None:
    vit = TimmNetwork("vit_tiny_patch16_224", options={"img_size": 32, "patch_size": 8, "depth": 1})
    assert vit(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    squeezenet = TorchvisionNetwork("squeezenet1_1", options={"dropout": 0.25})
    assert [m.p for m in squeezenet.modules() if isinstance(m, nn.Dropout)] == [0.25]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (TimmNetwork, r"timm has no network 'resnet81': did you mean resnet18 or "),
        (TorchvisionNetwork, r"torchvision has no network 'resnet81': did you mean resnet18 or "),
    ],
)
def test_an_unknown_name_suggests_the_close_ones(build: Callable[[str], nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("resnet81")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (TimmNetwork, r"timm has no network 'xyzzy': timm\.list_models\(\) lists all of them\."),
        (TorchvisionNetwork, r"no network 'xyzzy': torchvision\.models\.list_models\(\) lists all of them\."),
    ],
)
def test_an_unknown_name_without_a_close_one_says_where_to_look(
    build: Callable[[str], nn.Module], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build("xyzzy")


def test_a_segmentation_network_is_not_offered() -> None:
    with pytest.raises(ValueError, match="torchvision has no network 'fcn_resnet50'"):
        TorchvisionNetwork("fcn_resnet50")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (TimmNetwork, "timm cannot build 'resnet18': .*unexpected keyword argument 'dropuot'"),
        (TorchvisionNetwork, "torchvision cannot build 'resnet18': .*unexpected keyword argument 'dropuot'"),
    ],
)
def test_an_unknown_option_is_named(build: Callable[..., nn.Module], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build("resnet18", options={"dropuot": 0.1})


def test_an_unknown_tag_is_named() -> None:
    with pytest.raises(ValueError, match=r"timm cannot build 'resnet18\.nobody': Invalid pretrained tag \(nobody\)"):
        TimmNetwork("resnet18.nobody")


def test_torchvisions_weights_are_refused_for_grey_images() -> None:
    with pytest.raises(ValueError, match=r"are for RGB images, in_channels is 1: .* or use TimmNetwork"):
        TorchvisionNetwork("resnet18", in_channels=1, pretrained=True)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_outputs_are_left_out(name: str) -> None:
    with torch.device("meta"):  # in training mode, where torchvision returns a tuple
        network = TorchvisionNetwork(name, options={"init_weights": False})
        assert network(torch.zeros(2, 3, 299, 299)).shape == (
            2,
            10,
        )


class TestWithoutANetwork:
    """A download that fails is one line with the ways out."""

    message = r"weights of 'resnet18' \(.*not known.*\): .* or set pretrained to false"

    def refuse(self, *_arguments: Any, **_keywords: Any) -> None:
        raise urllib.error.URLError("Name or service not known")

    def test_timm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timm, "create_model", self.refuse)
        with pytest.raises(ConnectionError, match=self.message):
            TimmNetwork("resnet18", pretrained=True)

    def test_torchvision(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr(torch.hub, "download_url_to_file", self.refuse)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path))
        with pytest.raises(ConnectionError, match=self.message):
            TorchvisionNetwork("resnet18", pretrained=True)


class TestPretrained:
    """Weights are taken over and the last layer is made anew; the download is replaced by seeded weights."""

    @pytest.fixture
    def weights(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
        torch.manual_seed(3)
        state: dict[str, torch.Tensor] = models.squeezenet1_1().state_dict()
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_args, **_keywords: state)
        return state

    def test_keeps_the_body_and_replaces_the_head(self, weights: dict[str, torch.Tensor]) -> None:
        network = TorchvisionNetwork("squeezenet1_1", num_classes=7, pretrained=True)
        torch.testing.assert_close(network.model.get_parameter("features.0.weight"), weights["features.0.weight"])
        assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 7)

    def test_replaces_a_linear_head_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        state = models.mobilenet_v3_small().state_dict()
        monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *_args, **_keywords: state)
        network = TorchvisionNetwork("mobilenet_v3_small", num_classes=7, pretrained=True)
        assert count(network) == count(models.mobilenet_v3_small(num_classes=7))
