"""The gradients that an open accumulation window has gathered: a validation in its midst may save a checkpoint."""

from torch import Tensor, nn


def open_gradients(module: nn.Module) -> dict[str, Tensor]:
    """Gradients by parameter, where there are any."""
    return {name: p.grad.detach().clone() for name, p in module.named_parameters() if p.grad is not None}


def load_gradients(module: nn.Module, gradients: dict[str, Tensor]) -> None:
    """Put them back, on each parameter's device."""
    parameters = dict(module.named_parameters())
    for name, gradient in gradients.items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device)
