from typing import Any

import pytest
import torch
from jsonargparse import Namespace

from descent.config_errors.nulls import check_nulls
from foundation.compat.signatures import Argument
from foundation.errors import UserError


def config(class_path: str, **arguments: Any) -> Namespace:
    return Namespace(model=Namespace(class_path=class_path, init_args=Namespace(**arguments)))


@pytest.mark.parametrize(
    ("class_path", "argument", "message"),
    [
        ("torch.nn.CrossEntropyLoss", "label_smoothing", "model.label_smoothing must be a number, got null"),
        ("torch.optim.AdamW", "amsgrad", "model.amsgrad must be true or false, got null"),
        ("lightning_modules.networks.SmallCNN", "width", "model.width must be an integer, got null"),
    ],
)
def test_a_null_that_the_type_does_not_have(class_path: str, argument: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_nulls(config(class_path, **{argument: None}), {}, [])
    check_nulls(config(class_path, **{argument: None}), {}, [f"model.{argument}"])  # a link fills it in


@pytest.mark.parametrize(
    ("class_path", "argument"),
    [
        ("torch.nn.CrossEntropyLoss", "weight"),
        ("torch.nn.CrossEntropyLoss", "size_average"),
        ("torch.optim.AdamW", "foreach"),
    ],
)
def test_a_null_by_type_or_by_default(class_path: str, argument: str) -> None:
    check_nulls(config(class_path, **{argument: None}), {}, [])


def test_an_argument_of_the_parser() -> None:
    with pytest.raises(UserError, match="steps must be an integer, got null"):
        check_nulls(Namespace(steps=None), {"steps": Argument(int, default=3)}, [])
    check_nulls(
        Namespace(steps=None, out=None), {"steps": Argument(int, default=None), "out": Argument(str | None)}, []
    )
    check_nulls(Namespace(), {"steps": Argument(int, default=3)}, [])


def test_an_optimizer_is_told_to_be_removed() -> None:
    with pytest.raises(UserError, match=r"must be a class of kind Optimizer, got null\. Remove it\."):
        check_nulls(Namespace(optimizer=None), {"optimizer": Argument(torch.optim.Optimizer, required=True)}, [])
