"""Outputs of a network that is too confident."""

import torch


def random_logits(count: int = 500, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return overconfident logits and the true classes."""
    g = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, classes, (count,), generator=g)
    logits = torch.randn(count, classes, generator=g, dtype=torch.float64)
    logits[torch.arange(count), targets] += 1.0
    return 2.5 * logits, targets
