"""Classification networks of timm and torchvision by name, with random or pretrained weights."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torchvision import models

from foundation.argument_checks import require_at_least_one
from foundation.suggestions import did_you_mean
from lightning_modules.weights.needed import initial_weights_are_needed


class NamedNetwork(nn.Module):
    """Base class of networks that a library creates by name.

    Args:
        name: The library's name of the network.
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1.
        pretrained: Start from downloaded weights instead of random ones.
        options: Further arguments of the network.
    """

    amx_convolution = True

    def __init__(
        self,
        name: str,
        num_classes: int = 10,
        in_channels: int = 3,
        pretrained: bool = False,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        require_at_least_one(num_classes=num_classes, in_channels=in_channels)
        self.pretrained = pretrained
        self.model = self._create(name, num_classes, in_channels, pretrained, options or {})

    @abstractmethod
    def _create(
        self, name: str, num_classes: int, in_channels: int, pretrained: bool, options: dict[str, Any]
    ) -> nn.Module:
        """Return the library's own module; without its weights if `initial_weights_are_needed` says so."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of images."""
        logits: torch.Tensor = self.model(images)
        return logits


class TimmNetwork(NamedNetwork):
    """A network of timm by name; the attribute `model` is timm's own module.

    Args:
        name: timm's name, with a tag for particular weights: `resnet18`, `vit_tiny_patch16_224.augreg_in21k`.
            `timm.list_models()` lists all.
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1. timm adapts pretrained weights to them.
        pretrained: Start from downloaded weights instead of random ones.
        options: Further arguments of the network: `{img_size: 32, patch_size: 4}`, `{drop_path_rate: 0.1}`.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, with the H and W that the network requires.

    Raises:
        ValueError: timm has no network of that name, or the network does not accept the options.
        ConnectionError: The weights could not be downloaded.

    Example:
        >>> TimmNetwork("resnet10t", num_classes=7, in_channels=1)(torch.zeros(2, 1, 64, 64)).shape
        torch.Size([2, 7])
    """

    def _create(
        self, name: str, num_classes: int, in_channels: int, pretrained: bool, options: dict[str, Any]
    ) -> nn.Module:
        import timm  # here, because importing it takes a second

        if "/" not in name and not timm.is_model(name):  # names such as "hf-hub:owner/name" are checked by the hub
            raise ValueError(_unknown(name, timm.list_models(), "timm", "timm.list_models()"))
        try:
            model: nn.Module = timm.create_model(
                name,
                pretrained=pretrained and initial_weights_are_needed(),
                num_classes=num_classes,
                in_chans=in_channels,
                **options,
            )
        except OSError as error:
            raise ConnectionError(_no_weights(name, error)) from error
        except (TypeError, RuntimeError) as error:  # an unknown option; an unknown tag after the dot
            raise ValueError(f"timm cannot build {name!r}: {error}") from error
        return model


class TorchvisionNetwork(NamedNetwork):
    """A classification network of torchvision by name; the attribute `model` is torchvision's own module.

    Auxiliary outputs (googlenet, inception_v3) are switched off: the network returns only logits. Pretrained networks
    get a new last layer for the number of classes.

    Args:
        name: torchvision's name: `resnet18`, `mobilenet_v3_small`.
            `torchvision.models.list_models(module=torchvision.models)` lists all.
        num_classes: Number of logits, ≥ 1.
        in_channels: Channels of an image, ≥ 1; 3 where pretrained.
        pretrained: Start from downloaded ImageNet weights instead of random ones.
        options: Further arguments of the network: `{dropout: 0.1}`, `{image_size: 32}`.

    Shape:
        `(B, in_channels, H, W)` → `(B, num_classes)`, with the H and W that the network requires.

    Raises:
        ValueError: torchvision has no network of that name, the network does not accept the options, or pretrained
            weights are requested for images that are not RGB.
        ConnectionError: The weights could not be downloaded.

    Example:
        >>> TorchvisionNetwork("squeezenet1_1", num_classes=7, in_channels=1)(torch.zeros(2, 1, 64, 64)).shape
        torch.Size([2, 7])
    """

    def _create(
        self, name: str, num_classes: int, in_channels: int, pretrained: bool, options: dict[str, Any]
    ) -> nn.Module:
        known = models.list_models(module=models)
        if name not in known:
            raise ValueError(_unknown(name, known, "torchvision", "torchvision.models.list_models()"))
        if pretrained and in_channels != 3:
            raise ValueError(
                f"torchvision's pretrained weights are for RGB images, in_channels is {in_channels}: "
                "set pretrained to false, or use TimmNetwork, which adapts its weights."
            )
        model = _torchvision_model(name, pretrained, num_classes, options)
        if in_channels != 3:
            _replace_first_convolution(model, in_channels)
        return model


def _torchvision_model(name: str, pretrained: bool, num_classes: int, options: dict[str, Any]) -> nn.Module:
    if not pretrained:
        options = {"num_classes": num_classes, **options}
        if name in ("googlenet", "inception_v3"):
            options = {"aux_logits": False, "init_weights": True, **options}
    downloads = pretrained and initial_weights_are_needed()
    if pretrained and not downloads:
        options = _options_of_pretrained(name) | options
    try:
        model: nn.Module = models.get_model(name, weights="DEFAULT" if downloads else None, **options)
    except OSError as error:
        raise ConnectionError(_no_weights(name, error)) from error
    except TypeError as error:  # an unknown option
        raise ValueError(f"torchvision cannot build {name!r}: {error}") from error
    if pretrained:
        _replace_last_layer(model, num_classes)
    return model


def _options_of_pretrained(name: str) -> dict[str, Any]:
    """Return the options that torchvision sets itself where it loads pretrained weights."""
    about = models.get_model_weights(name).DEFAULT.meta  # type: ignore[attr-defined]
    options: dict[str, Any] = {"num_classes": len(about["categories"])}
    if name.startswith("vit_"):
        options["image_size"] = about["min_size"][0]
    if name.startswith("maxvit"):
        options["input_size"] = about["min_size"]
    if name in ("googlenet", "inception_v3"):
        options |= {"transform_input": True, "aux_logits": False, "init_weights": False}
    return options


def _replace_first_convolution(model: nn.Module, in_channels: int) -> None:
    """Replace the first convolution, for RGB, by a new one for `in_channels`."""
    path, old = next((p, m) for p, m in model.named_modules() if isinstance(m, nn.Conv2d))
    new = nn.Conv2d(
        in_channels,
        old.out_channels,
        kernel_size=(old.kernel_size[0], old.kernel_size[1]),
        stride=(old.stride[0], old.stride[1]),
        padding=old.padding if isinstance(old.padding, str) else (old.padding[0], old.padding[1]),
        bias=old.bias is not None,
    )
    model.set_submodule(path, new)


def _replace_last_layer(model: nn.Module, num_classes: int) -> None:
    """Replace the last layer, for the 1,000 classes of ImageNet, by a new one for `num_classes`."""
    path, old = [(p, m) for p, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)][-1]
    if isinstance(old, nn.Linear):
        model.set_submodule(path, nn.Linear(old.in_features, num_classes))
    else:  # squeezenet ends in a 1×1 convolution
        model.set_submodule(path, nn.Conv2d(old.in_channels, num_classes, kernel_size=1))


def _unknown(name: str, known: Iterable[str], library: str, listing: str) -> str:
    hint = did_you_mean(name, known, f"{listing} lists all of them.", count=3)
    return f"{library} has no network {name!r}: {hint}"


def _no_weights(name: str, error: Exception) -> str:
    reason = str(error).partition("\n")[0]
    return (
        f"could not download the pretrained weights of {name!r} ({reason.rstrip('.')}): connect to a network, copy "
        "them into the library's cache, or set pretrained to false."
    )
