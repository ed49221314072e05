"""Record what goes into the last linear or convolutional layer of a network, whatever network it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from foundation.errors import UserError

LAYERS = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class LastLayerInput:
    """The input of the layer that was called last in the latest forward pass; make it with `recorded`."""

    def __init__(self) -> None:
        self.name, self._batch_size = "", 0
        self._layer: nn.Module | None = None
        self._input: Tensor | None = None

    def start(self, module: nn.Module, values: tuple[Any, ...]) -> None:
        """Note how many images a forward pass gets; forget the layers of the pass before it."""
        self._batch_size, self._input = len(values[0]), None

    def note(self, name: str, layer: nn.Module, value: Any) -> None:
        """Keep the input of a layer that is about to run, in place of that of the layer before it."""
        self.name, self._layer, self._input = name, layer, value

    def features(self) -> Tensor:
        """Return the features of the latest batch `(B, D)` in float32: means over all positions, if there are several.

        Raises:
            UserError: The network has no such layer, or its input has not one entry for each image.
        """
        found, self._input = self._input, None
        if found is None:
            raise UserError(
                "the network has no linear or convolutional layer (torch.nn.Linear, Conv1d, Conv2d, Conv3d), so there "
                "are no features before a last one."
            )
        if found.ndim < 2 or len(found) != self._batch_size:
            raise UserError(
                f"the last layer of the network, {self.name}, gets {tuple(found.shape)} for {self._batch_size} images: "
                "not one row of features for each of them."
            )
        channels_last = isinstance(self._layer, nn.Linear)
        positions = tuple(range(1, found.ndim - 1) if channels_last else range(2, found.ndim))
        values = found.float()
        return values.mean(dim=positions) if positions else values


@contextmanager
def recorded(module: nn.Module) -> Iterator[LastLayerInput]:
    """Record, in each forward pass of a module, what goes into its last linear or convolutional layer.

    The last one is the one that is called last, whatever its name is and wherever it stands among the submodules.

    Args:
        module: Any module; its first argument is a batch.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))
        >>> with recorded(network) as last:
        ...     _ = network(torch.ones(5, 2))
        ...     last.name, last.features().shape
        ('2', torch.Size([5, 3]))
    """
    last = LastLayerInput()

    def hook(name: str) -> Any:
        def note(layer: nn.Module, values: tuple[Any, ...], named: dict[str, Any]) -> None:
            last.note(name, layer, values[0] if values else named.get("input"))

        return note

    layers = [(name, layer) for name, layer in module.named_modules() if isinstance(layer, LAYERS)]
    handles = [module.register_forward_pre_hook(last.start)]
    handles += [layer.register_forward_pre_hook(hook(name), with_kwargs=True) for name, layer in layers]
    try:
        yield last
    finally:
        for handle in handles:
            handle.remove()
