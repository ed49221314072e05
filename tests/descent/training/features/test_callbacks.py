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
    Checkpoint,
    EMAWeightAveraging,
    LearningRateFinder,
    ModelCheckpoint,
    ModelPruning,
    OnExceptionCheckpoint,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks import EMA, SWA, DurableCheckpoint
from descent.training.features.callbacks import check_callbacks, check_module
from descent.training.trainer import Trainer
from foundation.errors import UserError
from lightning_modules import ImageClassifier

PRUNING = partial(ModelPruning, "l1_unstructured")
REFUSED: list[tuple[list[Any], str]] = [
    ([BaseFinetuning()], "BaseFinetuning does nothing by itself"),
    ([BasePredictionWriter("batch")], "BasePredictionWriter does nothing by itself"),
    ([Checkpoint()], "Checkpoint does nothing by itself"),
    ([OnExceptionCheckpoint("x")], "lets every fit resume"),
    ([ModelCheckpoint(save_last=True), DurableCheckpoint()], "would write last.ckpt over that of the run.*save_last"),
    ([ModelCheckpoint(filename="best"), DurableCheckpoint()], "would write best.ckpt over that of the run.*filename"),
    ([StochasticWeightAveraging(0.1)], "only after the last checkpoint is saved"),
    ([WeightAveraging(), EMAWeightAveraging()], "WeightAveraging and EMAWeightAveraging would both replace"),
    ([EMA(), SWA()], "EMA and SWA would both replace"),
    ([PRUNING(), EMAWeightAveraging()], "EMAWeightAveraging averages parameters by name and order"),
]


@pytest.mark.parametrize(("callbacks", "text"), REFUSED, ids=lambda value: None)
def test_it_is_refused(callbacks: list[Callback], text: str) -> None:
    with pytest.raises(UserError, match=text):
        check_callbacks(callbacks)


def test_a_subclass_of_an_abstract_callback_is_not() -> None:
    class Written(BasePredictionWriter):
        pass

    check_callbacks([Written("batch"), EMAWeightAveraging(), Callback()])


def test_files_of_other_names_or_elsewhere_are_allowed() -> None:
    check_callbacks([ModelCheckpoint(filename="best"), ModelCheckpoint(dirpath="x", save_last=True)])
    check_callbacks([ModelCheckpoint(dirpath="x", save_last=True), ModelCheckpoint(), DurableCheckpoint()])


def test_the_checkpoint_of_the_run_is_the_one_that_counts() -> None:
    ours = DurableCheckpoint()
    trainer = Trainer(callbacks=[ModelCheckpoint(), ours], accelerator="cpu", logger=False)
    assert trainer.checkpoint_callback is ours
    theirs = ModelCheckpoint()
    assert Trainer(callbacks=[theirs], accelerator="cpu", logger=False).checkpoint_callback is theirs


def test_a_rate_is_found_only_where_the_module_has_one() -> None:
    module = BoringModel()
    with pytest.raises(UserError, match=r"use callbacks/lr_finder.yaml"):
        check_module([LearningRateFinder()], module, resumed=False)
    module.lr = torch.tensor(0.1)
    check_module([LearningRateFinder()], module, resumed=False)


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
