"""The layers of a network, for a learning rate that decreases towards the input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def layer_of_parameters(module: nn.Module) -> dict[str, int]:
    """Return the layer of every parameter by name, 0 being nearest the input.

    A network of timm says itself how its parameters are grouped (`group_matcher`). In any other a layer is a child of
    the network; each child of a Sequential, ModuleList or ModuleDict is a layer, and a module that holds a list of
    equal blocks is looked into, so that residual, dense and transformer blocks count one by one. A normalisation
    between layers belongs to the layer before it; parameters of the network itself (class token, position embedding)
    belong to the first layer, those of a module that is looked into to the layer before its own.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1, bias=False))
        >>> layer_of_parameters(network)
        {'0.weight': 0, '0.bias': 0, '1.weight': 0, '1.bias': 0, '2.weight': 1}
    """
    prefix, module = unwrapped(module)
    return {prefix + name: layer for name, layer in _layer_of_parameters(module).items()}


def unwrapped(module: nn.Module) -> tuple[str, nn.Module]:
    """Return the network inside modules that only hold another one, such as `TimmNetwork`, and its name's prefix."""
    prefix = ""
    while not callable(getattr(module, "group_matcher", None)) and not isinstance(module, CONTAINERS):
        named = [(name, child) for name, child in module.named_children() if next(child.parameters(), None) is not None]
        if len(named) != 1 or next(module.parameters(recurse=False), None) is not None:
            break
        prefix, module = f"{prefix}{named[0][0]}.", named[0][1]
    return prefix, module


def _layer_of_parameters(module: nn.Module) -> dict[str, int]:
    if callable(matcher := getattr(module, "group_matcher", None)):
        from timm.models import group_parameters  # slow to import

        grouped: dict[str, int] = group_parameters(module, matcher(coarse=False), reverse=True)
        return grouped
    layers: dict[str, int] = {}
    layer = -1
    for prefix, child in blocks(module):
        looked_into = is_divided(child)
        own = child.named_parameters(recurse=not looked_into)
        names = [f"{prefix}.{name}" for name, _ in own]
        if not names:
            continue
        if layer < 0 or not (looked_into or is_normalisation(child)):
            layer += 1
        layers.update(dict.fromkeys(names, layer))
    return {name: 0 for name, _ in module.named_parameters() if name not in layers} | layers


def blocks(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a network with their names, and the modules that are looked into before their own layers."""
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        if not isinstance(child, CONTAINERS):
            yield path, child
        if is_divided(child):
            yield from blocks(child, path)


def is_divided(module: nn.Module) -> bool:
    """Return whether a module is a container, or holds somewhere a container with several blocks of one class.

    A block is no container itself and has several layers with weights, normalisations apart: neither the Linears of an
    MLP nor convolutions with their normalisation are blocks.
    """
    if isinstance(module, CONTAINERS):
        return True
    lists = (child for child in module.modules() if isinstance(child, CONTAINERS))
    return any(max(_blocks_by_class(child).values(), default=0) > 1 for child in lists)


def _blocks_by_class(container: nn.Module) -> Counter[type[nn.Module]]:
    return Counter(type(child) for child in container.children() if _is_block(child))


def _is_block(module: nn.Module) -> bool:
    weighted = (
        part
        for part in module.modules()
        if part is not module and not is_normalisation(part) and next(part.parameters(recurse=False), None) is not None
    )
    return not isinstance(module, CONTAINERS) and len(list(islice(weighted, 2))) == 2


def is_normalisation(module: nn.Module) -> bool:
    """Return whether a module is a normalisation: its class is called …Norm… and it has no children."""
    return "Norm" in type(module).__name__ and next(module.children(), None) is None
