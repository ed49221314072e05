"""A weight decay that makes every run diverge is named, and not the rate."""

from functools import partial
from typing import Any

import pytest
import torch

from callbacks import find_lr
from callbacks.learning_rate.sweep import relative_decay
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


def test_only_a_decay_that_acts_on_the_weights_themselves_is_blamed() -> None:
    weights = [torch.nn.Parameter(torch.ones(1))]
    options: dict[str, Any] = {"lr": 0.1, "weight_decay": 100.0}
    assert relative_decay(torch.optim.Adam(weights, **options)) == 0
    assert relative_decay(torch.optim.AdamW(weights, **options)) == 100
    assert relative_decay(torch.optim.SGD(weights, **options)) == 100


def test_an_ordinary_decay() -> None:
    assert search(0.01) > 0
