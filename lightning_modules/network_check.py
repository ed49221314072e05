"""A trial of a network before training: does it take the data, and what does it give?"""

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn


def trial_output(network: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of what a network gives for two black pictures; its state, and every random stream, are as before.

    Args:
        network: The network; the pictures go through it in evaluation mode.
        shape: `(C, H, W)` of a picture.

    Raises:
        MisconfigurationException: The network refuses the pictures, or gives no tensor.
    """
    name = type(network).__name__
    parameter = next(network.parameters(), torch.empty(0))
    pictures = torch.zeros(2, *shape, device=parameter.device, dtype=parameter.dtype)
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        with torch.no_grad():
            output = network(pictures)
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise MisconfigurationException(
            f"{name} does not take pictures of shape {shape} (channels, height, width), which the data gives: "
            f"{reason[0]} Choose a network for such pictures, or in_channels / the data's image_size and mode to match."
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(output, Tensor):
        raise MisconfigurationException(f"{name} gives {type(output).__name__} for 2 pictures, expected a tensor.")
    return tuple(output.shape)
