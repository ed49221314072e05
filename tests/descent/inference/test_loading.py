"""Checkpoints and modules that a command cannot use end in a line."""

import multiprocessing
import os
import re
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from datamodules import BreastCancerDataModule, DigitsDataModule
from datamodules.folder.decoding import ImageFormat
from descent.inference.answers import answering, answers_of, choosing, joined
from descent.inference.loading import Trained
from descent.inference.prediction import decoding_stream
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.prediction import image_format
from descent.inference.scoring import Scorer
from descent.runs.summary import uses_of
from foundation.errors import UserError
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor
from lightning_modules.networks import SmallCNN
from tests.descent.helpers import refused
from tests.descent.inference.conftest import Trained as Made


def trained(module: Any, data: Any = None) -> Trained:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    return Trained(module, data, trainer, Path("best.ckpt"), None)


def test_modules_that_do_not_choose() -> None:
    network = torch.nn.Linear(4, 3)
    numbers, labels = Regressor(network, torch.optim.SGD), MultilabelClassifier(network, torch.optim.SGD, num_labels=3)
    with pytest.raises(UserError, match=r"best\.ckpt is of Regressor, which gives neither classes nor"):
        answering(trained(numbers))
    assert answering(trained(labels)) is labels
    with pytest.raises(UserError, match=r"of MultilabelClassifier, which does not choose one class: "):
        choosing(trained(labels))


def test_data_without_images() -> None:
    module = BinaryClassifier(torch.nn.Linear(30, 1), torch.optim.SGD)
    with pytest.raises(UserError, match="trained on BreastCancerDataModule, which holds no images"):
        image_format(trained(module, BreastCancerDataModule()))


def test_a_fit_ends_with_what_can_be_done() -> None:
    network = torch.nn.Linear(4, 3)
    labels = uses_of("x", MultilabelClassifier(network, torch.optim.SGD, num_labels=3))
    assert [line.split()[0] for line in labels] == ["predict", "export"]
    classes = uses_of("x", ImageClassifier(network, torch.optim.SGD))
    assert [line.split()[0] for line in classes] == ["evaluate", "predict", "export"]


def test_images_of_files_are_brought_to_the_datas_levels() -> None:
    data = DigitsDataModule(mean=[0.0], std=[1.0])
    scorer = Scorer(trained(ImageClassifier(SmallCNN(width=2, in_channels=1), torch.optim.SGD), data))
    seen: list[torch.Tensor] = []
    scorer.module = lambda inputs: seen.append(inputs) or inputs  # type: ignore[assignment,func-returns-value]
    scorer.images(torch.tensor([0, 8, 16, 128, 255], dtype=torch.uint8).expand(1, 8, 5).unsqueeze(3))
    values = (seen[0][0, 0, 0] * 255).round().int().tolist()
    assert values == [0, 1, 1, 8, 16], "255 is white, which the scans have as 16"


def test_answers_by_threshold_and_labels() -> None:
    yes_or_no = BinaryClassifier(torch.nn.Linear(2, 1), torch.optim.SGD, threshold=0.8)
    found = answers_of(yes_or_no, torch.tensor([0.7, 0.9]).logit())
    assert found.choice.tolist() == [[0, 1], [1, 0]]
    torch.testing.assert_close(found.probability, torch.tensor([[0.3, 0.7], [0.9, 0.1]]))
    labels = MultilabelClassifier(torch.nn.Linear(2, 3), torch.optim.SGD, num_labels=3, threshold=0.5)
    output = torch.tensor([[0.2, 0.9, 0.6]]).logit()
    both = joined([answers_of(labels, output), answers_of(labels, output)])
    assert both.labels is not None
    assert both.labels.tolist() == [[False, True, True]] * 2
    assert both.choice.tolist() == [[1, 2]] * 2


def test_a_file_without_a_config(colours: Made, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {}}, "bare.ckpt")
    line = refused(["export", "--to", "torch", "--ckpt_path", "bare.ckpt"], capsys)
    assert re.search(r"bare\.ckpt lies in no run's folder and holds no config: give it with -c\.", line)
    config = str(colours.run / "config.yaml")
    line = refused(["export", "--to", "torch", "--ckpt_path", "bare.ckpt", "-c", config], capsys)
    assert "The checkpoint is of another network than SmallCNN" in line


def test_a_worker_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding_stream, "_decode", _die)
    monkeypatch.setattr(decoding_stream, "decoding_pool", lambda workers: _forked())
    with pytest.raises(ChildProcessError, match="a process that decoded images was killed; is the memory full"):
        list(decoded_batches(["a", "b"], ImageFormat(8, 8, "L", "crop"), 1))


def _die(paths: list[str], form: ImageFormat) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _forked() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork"))
