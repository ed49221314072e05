"""Callbacks of Lightning that would not do what they say are refused with what to use instead."""

from functools import partial
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import (
    BackboneFinetuning,
    BaseFinetuning,
    BasePredictionWriter,
    Callback,
    EMAWeightAveraging,
    LearningRateFinder,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.demos.boring_classes import BoringModel

from descent.training.features.callbacks import check_callbacks, check_module
from foundation.errors import UserError
from lightning_modules import ImageClassifier

PRUNING = partial(ModelPruning, "l1_unstructured")
REFUSED: list[tuple[list[Any], str]] = [
    ([BaseFinetuning()], "BaseFinetuning does nothing by itself"),
    ([BasePredictionWriter("batch")], "BasePredictionWriter does nothing by itself"),
    ([LearningRateFinder()], "use callbacks/lr_finder.yaml"),
    ([StochasticWeightAveraging(0.1)], "only after the last checkpoint is saved"),
    ([WeightAveraging(), EMAWeightAveraging()], "WeightAveraging and EMAWeightAveraging would both replace"),
    ([PRUNING(), EMAWeightAveraging()], "EMAWeightAveraging averages parameters by their order"),
]


@pytest.mark.parametrize(("callbacks", "text"), REFUSED, ids=lambda value: None)
def test_it_is_refused(callbacks: list[Callback], text: str) -> None:
    with pytest.raises(UserError, match=text):
        check_callbacks(callbacks)


def test_a_subclass_of_an_abstract_callback_is_not() -> None:
    class Written(BasePredictionWriter):
        pass

    check_callbacks([Written("batch"), EMAWeightAveraging(), Callback()])


def test_pruning_needs_the_usual_memory_format_and_no_checkpoint() -> None:
    def module(channels_last: bool) -> ImageClassifier:
        network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        return ImageClassifier(network, partial(torch.optim.SGD, lr=0.1), channels_last=channels_last)

    with pytest.raises(UserError, match=r"--model.channels_last false"):
        check_module([PRUNING()], module(True), resumed=False)
    with pytest.raises(UserError, match="cannot be resumed"):
        check_module([PRUNING()], module(False), resumed=True)
    check_module([PRUNING()], module(False), resumed=False)


def test_a_backbone_is_needed_to_freeze_it() -> None:
    module = BoringModel()
    with pytest.raises(UserError, match=r"freezes module.backbone, which BoringModel has not"):
        check_module([BackboneFinetuning()], module, resumed=False)
    module.backbone = torch.nn.Linear(2, 2)
    check_module([BackboneFinetuning()], module, resumed=False)
