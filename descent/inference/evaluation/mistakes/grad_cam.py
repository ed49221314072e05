"""Grad-CAM: where in an image the last convolution finds evidence for a class."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

MAX_LAYERS_AFTER = 6
"""After the last convolution there are at most this many layers with weights: the head, a block's end. More are a
transformer's, whose convolution only cuts the image into patches."""


class NotExplainedError(Exception):
    """Why there is no Grad-CAM for a network."""


class _Call(NamedTuple):
    module: nn.Module
    shape: torch.Size
    has_weights: bool


def evidence(module: nn.Module, inputs: Tensor, scores: Callable[[Any], Tensor]) -> Tensor:
    r"""Return Grad-CAM maps for one score of each image.

    With the activations :math:`A^k` of the last convolution (after the normalisation and the activation that follow
    it, where the network has modules for them) and an image's score :math:`y`, the map is

    $$L = \operatorname{ReLU}\Big(\sum_k \alpha_k A^k\Big), \qquad
    \alpha_k = \frac{1}{h w} \sum_{i j} \frac{\partial y}{\partial A^k_{i j}}$$

    Args:
        module: Maps the inputs to outputs; it must be in evaluation mode, so that images do not influence one another.
        inputs: Images.
        scores: Maps the module's output to one score for each image `(B,)`: the class' logit, before the softmax.

    Shape:
        inputs `(B, C, H, W)` → `(B, h, w)`, ≥ 0.

    Raises:
        NotExplainedError: The network has no convolution with more than one place, or too much follows it.

    Reference:
        R. Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017.
    """
    target = last_activation(module, inputs[:1])
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        kept[:] = [output.detach().clone().requires_grad_()]  # the gradient goes no further back
        return kept[0].clone()  # what follows may change it in place

    handle = target.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            total = scores(module(inputs)).sum()  # images do not influence one another's scores
            (gradient,) = torch.autograd.grad(total, kept[0], allow_unused=True)
    finally:
        handle.remove()
    if gradient is None:
        raise NotExplainedError("the score does not depend on the network's last convolution")
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    return (weights * kept[0].detach().float()).sum(dim=1).relu()


def last_activation(module: nn.Module, inputs: Tensor) -> nn.Module:
    """Return the module that gives the activations of the last convolution, as a trial forward pass shows it.

    Raises:
        NotExplainedError: See `evidence`.
    """
    calls = _calls(module, inputs)
    places = [
        place
        for place, call in enumerate(calls)
        if isinstance(call.module, nn.Conv2d) and len(call.shape) == 4 and max(call.shape[2:]) > 1
    ]
    if not places:
        raise NotExplainedError("the network has no convolution")
    last = places[-1]
    after = sum(call.has_weights for call in calls[last + 1 :])
    if after > MAX_LAYERS_AFTER:
        raise NotExplainedError(f"after its last convolution the network has {after} more layers, as a transformer has")
    shape = calls[last].shape
    while last + 1 < len(calls) and calls[last + 1].shape == shape:
        last += 1
    return calls[last].module


def _calls(module: nn.Module, inputs: Tensor) -> list[_Call]:
    """Return the modules without children, in the order in which they are called."""
    calls: list[_Call] = []

    def note(called: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            calls.append(_Call(called, output.shape, next(called.parameters(), None) is not None))

    handles = [part.register_forward_hook(note) for part in module.modules() if not any(part.children())]
    try:
        with torch.no_grad():
            module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls
