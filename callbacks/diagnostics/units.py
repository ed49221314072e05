"""Which units of a rectifier were ever active: modules and functions, images and sequences, shared or not."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from callbacks.diagnostics.layer_statistics import active_units
from foundation.compat.torch import is_batch_norm

RELU = {
    torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_,
    nn.functional.relu, nn.functional.relu_, nn.functional.relu6,
}  # fmt: skip
CHANNELS_FIRST = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.GroupNorm,
    nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
)  # fmt: skip


BETWEEN = " after "


class ActiveUnits(TorchFunctionMode):
    """Collects which units were above 0 in any sampled batch; on while a sampled batch is trained.

    A unit is an entry of the dimension in which the layer before computes its outputs: the second after a convolution
    or a batch norm, the last after a linear layer, also of a sequence. A rectifier that is used after several layers is
    counted after each of them, named `relu (after <layer>)`, as is a function such as `F.relu`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[str, Tensor] = {}
        """By name of the rectifier and of the layer before it."""
        self._before, self._axis, self._inside = "", 1, False

    def layer(self, name: str, layer: nn.Module) -> None:
        """Note that a layer with weights has just computed."""
        self._before, self._axis = name, 1 if isinstance(layer, CHANNELS_FIRST) or is_batch_norm(layer) else -1

    def enter(self) -> None:
        """Note that a rectifier computes, whose functions are not to be counted again."""
        self._inside = True

    def rectifier(self, name: str, output: Tensor) -> None:
        """Add the output of a rectifier, or of a function where `name` is empty."""
        self._inside = False
        active = active_units(output, self._axis if output.ndim > 2 else 1)
        key = f"{name}{BETWEEN}{self._before}"
        known = self.active.get(key)
        self.active[key] = active if known is None or known.shape != active.shape else active | known

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Watch the functions that rectify."""
        output = func(*args, **(kwargs or {}))
        if func in RELU and not self._inside and isinstance(output, Tensor) and output.ndim > 1:
            self.rectifier("", output)
        return output

    def shares(self) -> dict[str, Tensor]:
        """Return the share of dead units by name, and start anew."""
        places: dict[str, dict[str, Tensor]] = {}
        for key, active in self.active.items():
            name, _, before = key.partition(BETWEEN)
            places.setdefault(name, {})[before] = active
        self.active = {}
        found = {}
        for name, by_layer in places.items():
            for before, active in by_layer.items():
                alone = bool(name) and len(by_layer) == 1
                found[name if alone else f"{name or 'relu'} (after {before})"] = 1 - active.float().mean()
        return found
