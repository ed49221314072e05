"""A weight decay that makes every run diverge is named, and not the rate."""

from functools import partial

import pytest
import torch

from callbacks import find_lr
from foundation.errors import UserError
from tests.callbacks.inside_case import classifier, data
from tests.callbacks.learning_rate.finder_case import SHORT, linear


def search(decay: float) -> float:
    module = classifier(linear(), scheduler=None)
    module.optimizer = partial(torch.optim.AdamW, lr=1e-3, weight_decay=decay)
    return find_lr(module, data(batch_size=64), accelerator="cpu", **SHORT).pick


def test_a_decay_under_which_all_runs_diverge() -> None:
    said = r"diverged after \d+ steps: .* weight decay alone multiplies the weights by .* lower weight_decay"
    with pytest.raises(UserError, match=said):
        search(1e30)


def test_an_ordinary_decay() -> None:
    assert search(0.01) > 0
