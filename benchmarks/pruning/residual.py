"""A small residual network whose first layers can be frozen and whose residual branches can be skipped."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Branch(nn.Module):
    """Two normalised convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the change of the features."""
        change: Tensor = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(inputs)))))
        return change


class Halving(nn.Sequential):
    """A normalised, rectified convolution that may halve the resolution."""

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        conv = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        super().__init__(conv, nn.BatchNorm2d(width), nn.ReLU())


class Residual(nn.Module):
    """A convolution, three residual blocks of 16 channels, a halving, three blocks of 32 channels, a linear layer.

    Args:
        in_channels: Channels of an image.
        stride: Of the first convolution.
        drop: Probability of skipping the last residual branch; the others have less, in proportion to their depth. As
            in Huang et al. (Deep Networks with Stochastic Depth, 2016), evaluation scales each by its share of steps.
    """

    def __init__(self, in_channels: int, stride: int = 1, drop: float = 0.0) -> None:
        super().__init__()
        first, second = [Branch(16) for _ in range(3)], [Branch(32) for _ in range(3)]
        self.parts = nn.ModuleList([Halving(in_channels, 16, stride), *first, Halving(16, 32, 2), *second])
        self.head = nn.Linear(32, 10)
        places = [number for number, part in enumerate(self.parts) if isinstance(part, Branch)]
        self.drop = {place: drop * (depth + 1) / len(places) for depth, place in enumerate(places)}

    def forward(self, images: Tensor, skipped: tuple[int, ...] = ()) -> Tensor:
        """Return the logits, without the residual branches that are skipped."""
        features = images
        for number, part in enumerate(self.parts):
            if number in self.drop and number not in skipped:
                share = 1.0 if self.training else 1 - self.drop[number]
                features = F.relu(features + share * part(features))
            elif number not in self.drop:
                features = part(features)
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits

    def freeze(self, count: int) -> None:
        """Train no longer the first parts, as many as `count`."""
        for part in self.parts[:count]:
            part.requires_grad_(False)

    def draw_skipped(self, random: torch.Generator) -> tuple[int, ...]:
        """Draw the residual branches that a step skips."""
        draws = torch.rand(len(self.drop), generator=random).tolist()
        return tuple(place for draw, (place, chance) in zip(draws, self.drop.items(), strict=True) if draw < chance)
