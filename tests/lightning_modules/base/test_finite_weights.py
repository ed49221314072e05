"""A network with NaN or infinite weights is not used."""

from functools import partial

import pytest
import torch
from torch import nn

from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.base.finite_weights import check_finite_weights, not_finite


def test_which_are_not_finite() -> None:
    tensors = {"a": torch.ones(3), "b": torch.tensor([1.0, torch.inf]), "c": torch.tensor([1]), "d": torch.empty(0)}
    assert not_finite(tensors.items()) == ["b"]
    assert not_finite([]) == []


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_checkpoint_with_such_weights_is_refused(value: float) -> None:
    module = ImageClassifier(nn.Linear(2, 2), partial(torch.optim.SGD, lr=0.1), num_classes=2)
    state = module.state_dict()
    module.on_load_checkpoint({"state_dict": state})
    state["network.bias"][0] = value
    with pytest.raises(UserError, match=r"NaN or infinite \(1 of 2 parameters, the first is network\.bias\).*previous"):
        module.on_load_checkpoint({"state_dict": state})


def test_a_buffer_may_be_infinite() -> None:
    check_finite_weights({"mask": torch.tensor([-torch.inf]), "w": torch.ones(1)}, ["w"])
