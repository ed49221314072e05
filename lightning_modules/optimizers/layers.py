"""Which layer of a network a parameter belongs to, counted from the input."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

CONTAINERS = (nn.Sequential, nn.ModuleList)


def layer_of_parameters(module: nn.Module) -> dict[str, int]:
    """Return the layer of every parameter by name, 0 being nearest the input.

    A layer is a child of the network; of a Sequential or ModuleList, each child is one, so that residual and
    transformer blocks count one by one. A normalisation that stands by itself belongs to the layer before it, what
    belongs to the network itself (class token, position embedding) to the first.

    Example:
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Linear(3, 1, bias=False))
        >>> layer_of_parameters(network)
        {'0.weight': 0, '0.bias': 0, '1.weight': 0, '1.bias': 0, '2.weight': 1}
    """
    layers: dict[str, int] = {}
    layer = -1
    for prefix, child in blocks(module):
        names = [f"{prefix}.{name}" for name, _ in child.named_parameters()]
        if not names:
            continue
        if layer < 0 or not is_normalisation(child):
            layer += 1
        layers.update(dict.fromkeys(names, layer))
    own = {name: 0 for name, _ in module.named_parameters() if name not in layers}
    return own | layers


def blocks(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a network with their names, containers opened."""
    for name, child in module.named_children():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(child, CONTAINERS):
            yield from blocks(child, path)
        else:
            yield path, child


def is_normalisation(module: nn.Module) -> bool:
    """Return whether a module normalises: torch's and everyone's are called …Norm… and have no children."""
    return "Norm" in type(module).__name__ and next(module.children(), None) is None
