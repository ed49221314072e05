"""Checkpoints, modules and data that a command cannot use give a one-line error; predictions of each task."""

import multiprocessing
import os
import re
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

import cli
from datamodules import BreastCancerDataModule, DiabetesDataModule, DigitsDataModule
from datamodules.folder.decoding import ImageFormat
from descent.inference.classifiers import (
    concatenate,
    predictions_from_output,
    require_classifier,
)
from descent.inference.loading import TrainedNetwork
from descent.inference.prediction.decoding_stream import decoded_batches
from descent.inference.prediction.prediction import image_format
from descent.inference.predictor import Predictor
from descent.runs.summary import uses_of
from foundation.errors import UserError
from foundation.files import require_writable
from lightning_modules import BinaryClassifier, ImageClassifier, MultilabelClassifier, Regressor
from lightning_modules.networks import SmallCNN
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun


def trained(module: Any, data: Any = None) -> TrainedNetwork:
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    return TrainedNetwork(module, data, trainer, Path("best.ckpt"), None)


def test_modules_of_other_tasks() -> None:
    network = torch.nn.Linear(4, 3)
    numbers, labels = Regressor(network, torch.optim.SGD), MultilabelClassifier(network, torch.optim.SGD, num_labels=3)
    with pytest.raises(UserError, match=r"best\.ckpt holds a Regressor, which predicts neither classes nor labels"):
        require_classifier(trained(numbers))
    assert require_classifier(trained(labels)) is labels


def test_data_without_images() -> None:
    module = BinaryClassifier(torch.nn.Linear(30, 1), torch.optim.SGD)
    with pytest.raises(UserError, match="trained on BreastCancerDataModule, which has no images"):
        image_format(trained(module, BreastCancerDataModule()))


def test_a_fit_ends_with_the_next_commands() -> None:
    def commands(module: LightningModule, data: object) -> list[str]:
        return [line.split()[0] for line in uses_of("x", SimpleNamespace(lightning_module=module, datamodule=data))]

    network, images = torch.nn.Linear(4, 3), DigitsDataModule()
    labels = MultilabelClassifier(network, torch.optim.SGD, num_labels=3)
    assert commands(labels, images) == ["evaluate", "predict", "export"]
    assert commands(ImageClassifier(network, torch.optim.SGD), images) == ["evaluate", "predict", "export"]
    assert commands(Regressor(network, torch.optim.SGD), images) == ["evaluate"]
    assert commands(Regressor(network, torch.optim.SGD), DiabetesDataModule()) == ["evaluate"]


def test_pixels_of_files_are_scaled_to_the_levels_of_the_data() -> None:
    data = DigitsDataModule(mean=[0.0], std=[1.0])
    predictor = Predictor(trained(ImageClassifier(SmallCNN(width=2, in_channels=1), torch.optim.SGD), data))
    seen: list[torch.Tensor] = []
    predictor.module = lambda inputs: seen.append(inputs) or inputs  # type: ignore[assignment,func-returns-value]
    predictor.forward_pixels(torch.tensor([0, 8, 16, 128, 255], dtype=torch.uint8).expand(1, 8, 5).unsqueeze(3))
    values = (seen[0][0, 0, 0] * 255).round().int().tolist()
    assert values == [0, 1, 1, 8, 16], "255 is white, which is 16 in the digits"


def test_predictions_by_threshold_and_labels() -> None:
    binary = BinaryClassifier(torch.nn.Linear(2, 1), torch.optim.SGD, threshold=0.8)
    found = predictions_from_output(binary, torch.tensor([0.7, 0.9]).logit())
    assert found.classes.tolist() == [[0, 1], [1, 0]]
    torch.testing.assert_close(found.probabilities, torch.tensor([[0.3, 0.7], [0.9, 0.1]]))
    labels = MultilabelClassifier(torch.nn.Linear(2, 3), torch.optim.SGD, num_labels=3, threshold=0.5)
    output = torch.tensor([[0.2, 0.9, 0.6]]).logit()
    both = concatenate([predictions_from_output(labels, output), predictions_from_output(labels, output)])
    assert both.labels is not None
    assert both.labels.tolist() == [[False, True, True]] * 2
    assert both.classes.tolist() == [[1, 2]] * 2


def test_a_file_without_a_config(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {}}, "bare.ckpt")
    line = refused(["export", "--to", "torch", "--ckpt_path", "bare.ckpt"], capsys)
    assert re.search(r"bare\.ckpt is not in a run's folder and holds no config: give the config with -c\.", line)
    config = str(colours.run / "config.yaml")
    line = refused(["export", "--to", "torch", "--ckpt_path", "bare.ckpt", "-c", config], capsys)
    assert "The checkpoint is of another network than SmallCNN" in line


@pytest.mark.parametrize(
    "words",
    [["predict", "--out", "file/a"], ["evaluate", "--out", "file"], ["embed", "--to", "file/f.npz"]],
    ids=lambda words: words[0],
)
def test_a_place_that_cannot_be_written_to_is_refused_before_the_work(
    words: list[str], colours: TrainedRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Predictor, "__init__", None)  # an exit code of 1, should the work begin
    Path("file").touch()
    command = [*words, "--ckpt_path", str(colours.run), "--images", str(colours.images / "test")]
    line = refused(command, capsys)
    assert re.search(r"results cannot be written to file\S*: \S*file is a file; choose another place with --", line), (
        line
    )
    assert [path.name for path in Path().iterdir()] == ["file"]


def test_a_write_protected_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_writable(tmp_path / "new" / "folder", "--out")
    require_writable(Path("relative"), "--out")
    monkeypatch.setattr(os, "access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK))
    with pytest.raises(UserError, match=r"new: .* is write-protected; choose another place with --out"):
        require_writable(tmp_path / "new", "--out")


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    os.mkfifo("blocks.png")  # a worker that opens it waits for a writer

    def kill_workers() -> None:
        with Path("blocks.png").open("wb"):  # returns when a worker has opened it
            for worker in multiprocessing.active_children():
                worker.kill()

    killer = threading.Thread(target=kill_workers)
    killer.start()
    with pytest.raises(ChildProcessError, match="a process that decoded images was killed; is the memory full"):
        list(decoded_batches(["blocks.png", "b.png"], ImageFormat(8, 8, "L", "crop"), 1, workers=2))
    killer.join()


@pytest.mark.parametrize("command", ["evaluate", "test"])
def test_a_run_of_a_gpu_is_used_without_one(
    colours: TrainedRun, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    shutil.copytree(colours.run, "run/0")
    config = Path("run/0/config.yaml")
    text = config.read_text().replace("accelerator: cpu", "accelerator: gpu").replace("devices: auto", "devices: 4")
    config.write_text(text)
    cli.main([command, "--ckpt_path", "run/0"])
    said = capsys.readouterr()
    sentence = "trainer.accelerator: the config asks for gpu, and this machine has no GPU: running on the CPU."
    assert (said.out + said.err).count(sentence) == 1
    assert "asks for a GPU" in refused([command, "--ckpt_path", "run/0", "--trainer.accelerator", "gpu"], capsys)
