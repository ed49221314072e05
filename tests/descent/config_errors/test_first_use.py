from types import SimpleNamespace
from typing import Any

import pytest
import torch
from jsonargparse import Namespace
from torch import nn

from descent.config_errors.first_use import explain_first_use
from foundation.errors import TRACEBACK_SWITCH

HERE = "tests.descent.config_errors.test_first_use"


class UsersNetwork(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise KeyError("colour")


def config(key: str, class_path: str, **arguments: Any) -> Namespace:
    node = {"class_path": class_path, "init_args": arguments}
    return Namespace(model=Namespace(class_path="torch.nn.Module", init_args=Namespace({key: node})))


def raised_by(module: nn.Module, *inputs: Any) -> Exception:
    with pytest.raises(Exception) as caught:
        module(*inputs)
    return caught.value


def trainer(step: int = 0) -> Any:
    return SimpleNamespace(global_step=step)


def test_an_argument_that_the_message_names() -> None:
    error = raised_by(nn.CrossEntropyLoss(reduction="true"), torch.zeros(2, 3), torch.zeros(2, dtype=torch.long))
    given = config("loss", "torch.nn.CrossEntropyLoss", reduction="true", label_smoothing=0.0)
    line = explain_first_use(error, given, trainer())
    assert (
        line
        == f"model.loss.reduction: true is not a valid value for reduction. {TRACEBACK_SWITCH}=1 shows the traceback."
    )
    assert explain_first_use(error, given, trainer(step=2)) is None, "it served for two steps"
    assert explain_first_use(error, config("network", "torch.nn.Linear"), trainer()) is None, "another class"


def test_a_class_of_the_users_with_its_file_and_line() -> None:
    error = raised_by(UsersNetwork(), torch.zeros(1))
    line = explain_first_use(error, config("network", f"{HERE}.UsersNetwork"), trainer())
    assert line is not None
    assert line.startswith(f"model.network: {HERE}.UsersNetwork raises KeyError: 'colour' (test_first_use.py, line ")
    assert line.endswith("shows the traceback.")


def test_what_no_value_is_to_blame_for() -> None:
    given = config("loss", "torch.nn.CrossEntropyLoss")
    for error in (torch.OutOfMemoryError("full"), OSError("disk"), RuntimeError("x\nOriginal Traceback (most recent")):
        error.__traceback__ = raised_by(nn.CrossEntropyLoss(), 1, 2).__traceback__
        assert explain_first_use(error, given, trainer()) is None
    defect = IndexError("list index out of range")
    defect.__traceback__ = raised_by(nn.CrossEntropyLoss(), 1, 2).__traceback__
    assert explain_first_use(defect, given, trainer()) is None, "a defect is shown with its traceback"
