"""Layers of networks: timm's own grouping, and a list by hand for torchvision's."""

import pytest
import timm
import torch
import torchvision
from timm.optim import param_groups_layer_decay  # type: ignore[attr-defined]
from torch import nn

from lightning_modules.networks import TimmNetwork
from lightning_modules.optimizers import ParameterGroups
from lightning_modules.optimizers.network_layers import layer_of_parameters

DECAY = 0.75
TIMM = [
    "convnext_atto",
    "regnety_002",
    "densenet121",
    "resnet10t",
    "vgg11",
    "efficientvit_b0",
    "hiera_tiny_224",
    "resnest14d",
    "shvit_s1",
    "dla34",
    "dpn48b",
    "ghostnet_050",
    "mixer_s32_224",
    "repghostnet_050",
    "hgnet_tiny",
    "lcnet_050",
    "levit_128s",
    "selecsls42",
    "efficientformer_l1",
    "hardcorenas_a",
    "mobilenetv3_small_050",
    "resnetv2_50",
    "ese_vovnet19b_dw",
    "vovnet39a",
    "nfnet_l0",
    "repvit_m0_9",
    "efficientformerv2_s0",
    "mobilevit_xxs",
    "eva02_tiny_patch14_224",
    "rdnet_tiny",
    "tinynet_e",
    "xception41",
    "cspresnet50",
    "fastvit_t8",
    "sequencer2d_s",
    "visformer_tiny",
    "pvt_v2_b0",
    "rexnet_100",
    "fasternet_t0",
    "mnasnet_small",
    "repvgg_a0",
    "vit_tiny_patch16_224",
    "res2net50_26w_4s",
    "efficientnet_b0",
    "nest_tiny",
    "tiny_vit_5m_224",
    "beit_base_patch16_224",
    "convit_tiny",
    "volo_d1_224",
    "swin_tiny_patch4_window7_224",
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TIMM)
def test_timms_networks_have_timms_rates(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name)
    theirs = param_groups_layer_decay(network, layer_decay=DECAY)
    expected = {id(p): group["lr_scale"] for group in theirs for p in group["params"]}
    ours = ParameterGroups(layer_decay=DECAY).split(network)
    found = {id(p): group["lr_factor"] for group in ours for p in group["params"]}
    assert found == pytest.approx(expected, rel=1e-12)
    assert len(set(found.values())) > 5


def test_a_wrapped_network_of_timm_has_the_same_layers() -> None:
    wrapped = TimmNetwork("resnet10t", num_classes=7, in_channels=1)
    inner = layer_of_parameters(wrapped.model)
    assert layer_of_parameters(wrapped) == {f"model.{name}": layer for name, layer in inner.items()}


# The layers in order, each by the beginning of its parameters' names.
TORCHVISION = {
    "vit_b_16": [
        "class_token conv_proj encoder.pos_embedding",
        *(f"encoder.layers.encoder_layer_{i}." for i in range(11)),
        "encoder.layers.encoder_layer_11. encoder.ln",
        "heads",
    ],
    "resnet18": ["conv1 bn1", *(f"layer{stage}.{block}." for stage in (1, 2, 3, 4) for block in (0, 1)), "fc"],
    "convnext_tiny": [
        "features.0.",
        *("features.1.0", "features.1.1", "features.1.2 features.2.0", "features.2.1"),
        *("features.3.0", "features.3.1", "features.3.2 features.4.0", "features.4.1"),
        *(f"features.5.{block}." for block in range(8)),
        *("features.5.8. features.6.0", "features.6.1"),
        *("features.7.0", "features.7.1", "features.7.2 classifier.0"),
        "classifier.2",
    ],
    "swin_t": [
        "features.0.",
        *("features.1.0", "features.1.1", "features.2"),
        *("features.3.0", "features.3.1", "features.4"),
        *(f"features.5.{block}." for block in range(6)),
        *("features.6", "features.7.0", "features.7.1 norm", "head"),
    ],
    "densenet121": [
        "features.conv0 features.norm0",
        *(
            layer
            for block, size in enumerate((6, 12, 24, 16), start=1)
            for layer in (
                *(f"features.denseblock{block}.denselayer{i}." for i in range(1, size)),
                f"features.denseblock{block}.denselayer{size}. "
                + (f"features.transition{block}.norm" if block < 4 else "features.norm5"),
                *([f"features.transition{block}.conv"] if block < 4 else []),
            )
        ),
        "classifier",
    ],
    "efficientnet_b0": [
        "features.0.",
        *(f"features.{stage}.{i}." for stage, n in enumerate((1, 2, 2, 3, 3, 4, 1), start=1) for i in range(n)),
        *("features.8.", "classifier"),
    ],
    "vgg11_bn": [
        *(f"features.{i}. features.{i + 1}." for i in (0, 4, 8, 11, 15, 18, 22, 25)),
        *("classifier.0", "classifier.3", "classifier.6"),
    ],
    "inception_v3": [
        *(f"Conv2d_{name}" for name in ("1a", "2a", "2b", "3b", "4a")),
        *(f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e")),
        *("AuxLogits", "Mixed_7a", "Mixed_7b", "Mixed_7c", "fc"),
    ],
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvisions_networks_have_the_layers_of_a_list_by_hand(name: str) -> None:
    with torch.device("meta"):
        network = torchvision.models.get_model(name)
    expected = {}
    for parameter, _ in network.named_parameters():
        layers = [i for i, names in enumerate(TORCHVISION[name]) if parameter.startswith(tuple(names.split()))]
        assert len(layers) == 1, parameter
        expected[parameter] = layers[0]
    assert layer_of_parameters(network) == expected


def test_parallel_branches_of_convolutions_are_one_layer() -> None:
    with torch.device("meta"):
        layers = layer_of_parameters(torchvision.models.get_model("googlenet"))
    assert len({layer for name, layer in layers.items() if name.startswith("inception4b")}) == 1


def test_an_encoder_of_torch_counts_block_by_block() -> None:
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 3)
    layers = layer_of_parameters(nn.Sequential(nn.Linear(4, 8), encoder, nn.Linear(8, 2)))
    assert sorted(set(layers.values())) == [0, 1, 2, 3, 4]
    assert layers["1.layers.2.linear1.weight"] == 3


def test_a_part_of_a_network_that_is_called_network_is_not_the_whole() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.network, self.head = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)

    named = Named()
    factors = {id(p): g["lr_factor"] for g in ParameterGroups(layer_decay=0.5).split(named) for p in g["params"]}
    assert [factors[id(part.weight)] for part in (named.stem, named.network, named.head)] == [0.25, 0.5, 1.0]
