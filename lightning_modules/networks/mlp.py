"""Multilayer perceptron for rows of numbers."""

from collections.abc import Sequence

import torch
from torch import nn

from foundation.argument_checks import require_at_least_one


class MLP(nn.Module):
    r"""Linear layers with ReLU between them; without hidden layers it is a linear model.

    $$z = W_L\,\operatorname{ReLU}(\dots \operatorname{ReLU}(W_1 x + b_1) \dots) + b_L$$

    Args:
        num_classes: Number of outputs, ≥ 1: one logit per class, or 1 for regression.
        in_channels: Numbers in a row, ≥ 1.
        hidden: Width of each hidden layer, each ≥ 1; `[]` makes a linear model.
        dropout: Probability of dropping a hidden unit in training, in [0, 1).

    Shape:
        `(B, in_channels)` → `(B, num_classes)`; inputs with more dimensions are flattened.

    Raises:
        ValueError: An argument is outside its range.

    Example:
        >>> MLP(num_classes=1, in_channels=10)(torch.zeros(2, 10)).shape
        torch.Size([2, 1])
    """

    def __init__(
        self, num_classes: int = 1, in_channels: int = 10, hidden: Sequence[int] = (64, 64), dropout: float = 0.0
    ) -> None:
        super().__init__()
        require_at_least_one(num_classes=num_classes, in_channels=in_channels)
        for width in hidden:
            require_at_least_one(hidden=width)
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}.")
        layers: list[nn.Module] = []
        for before, after in zip([in_channels, *hidden], hidden, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU(), *([nn.Dropout(dropout)] if dropout else [])]
        self.layers = nn.Sequential(*layers, nn.Linear([in_channels, *hidden][-1], num_classes))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the outputs of a batch of rows."""
        output: torch.Tensor = self.layers(rows.flatten(1))
        return output
