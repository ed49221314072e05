"""`descent embed`: what goes into the last layer of any network, as npz or parquet."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

import cli
from datamodules import DigitsDataModule
from descent.inference.embedding import embeddings
from descent.inference.embedding.embeddings import Embeddings, embed_files, write_embeddings
from descent.inference.embedding.last_layer import recorded
from descent.inference.loading import load_trained_network
from foundation.errors import UserError
from lightning_modules.networks import AirbenchNet, ResNet8, SmallCNN, TorchvisionNetwork, UNet
from tests.descent.helpers import refused
from tests.descent.inference.conftest import TrainedRun
from tests.descent.inference.support import image
from tests.descent.inference.test_loading import trained


def test_the_features_give_the_predictions(colours: TrainedRun, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    for i in range(3):
        image(Path("mine", f"{i} ä.png"), i, 5 + i)
    Path("mine/broken.png").write_bytes(b"x")
    words = ["--ckpt_path", str(colours.run), "--images", "mine", "--data.eval_batch_size", "2"]
    cli.main(["predict", *words, "--out", "out", "--trainer.precision=32-true"])
    capsys.readouterr()
    cli.main(["embed", *words, "--to", "new/f.npz", "--trainer.precision=32-true"])
    said = capsys.readouterr()
    assert "features    16 numbers for each of 3 images, the input of network.head" in said.out
    assert "files that could not be decoded: 1, e.g. mine/broken.png" in said.err
    found = np.load("new/f.npz")  # without pickle
    with Path("out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert found["features"].dtype == np.float32
    assert found["paths"].tolist() == [row["path"] for row in rows]
    assert found["classes"].tolist() == [row["class"] for row in rows]
    head: Any = load_trained_network(str(colours.run), []).module.network.head
    logits = found["features"] @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    probabilities = torch.from_numpy(logits).softmax(1).max(1).values
    np.testing.assert_allclose(probabilities, [float(row["probability"]) for row in rows], atol=2e-6)
    np.testing.assert_allclose(probabilities, found["probabilities"], atol=2e-6)


@pytest.mark.parametrize(
    ("network", "width"),
    [
        (SmallCNN(3, 3, 4), 16),
        (ResNet8(3, 3, (8, 16, 24)), 24),
        (AirbenchNet(3, 3, (8, 16, 24)), 24),
        (TorchvisionNetwork("squeezenet1_1", 3), 512),  # its last layer is a convolution
        (TorchvisionNetwork("mobilenet_v3_small", 3), 1024),
        (UNet(3, 3), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_networks(network: nn.Module, width: int | None) -> None:
    with recorded(network.eval()) as last, torch.inference_mode():
        network(torch.rand(2, 3, 64, 64))
        features = last.features()
    assert features.ndim == 2
    assert width is None or features.shape == (2, width)
    assert not any(module._forward_pre_hooks for module in network.modules())


@pytest.mark.parametrize("name", ["resnet10t", "test_vit", "test_efficientnet"])
def test_timm(name: str) -> None:
    network: Any = timm.create_model(name, num_classes=3).eval()
    images = torch.rand(2, 3, *network.default_cfg["input_size"][1:])
    with recorded(network) as last, torch.inference_mode():
        network(images)
        wanted = network.forward_head(network.forward_features(images), pre_logits=True)
        network(images)
        torch.testing.assert_close(last.features(), wanted)


class _Own(L.LightningModule):
    """A LightningModule that is no task of Descent; its last layer comes first, and sees positions."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(8, 4)
        self.first = nn.Conv2d(1, 8, 3)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        tokens = self.first(images).flatten(2).transpose(1, 2)  # (B, positions, 8)
        return {"tokens": self.last(input=tokens)}


class _WithoutLayers(_Own):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"mean": images.mean((1, 2, 3))}


class _OneRow(_Own):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"row": self.last(self.first(images).mean((0, 2, 3))[None])}


def test_any_lightning_module(tmp_path: Path) -> None:
    data = DigitsDataModule(mean=[0.0], std=[1.0])
    files = [str(image(tmp_path / f"{i}.png", 0, i)) for i in range(3)]
    module = _Own()
    found = embed_files(trained(module, data), files)
    assert (found.layer, found.features.shape, found.classes) == ("last", (3, 8), None)
    write_embeddings(found, tmp_path / "f.npz")
    assert sorted(np.load(tmp_path / "f.npz").files) == ["features", "paths"]
    with pytest.raises(UserError, match="the network has no linear or convolutional layer"):
        embed_files(trained(_WithoutLayers(), data), files)
    with pytest.raises(
        UserError, match=r"the last layer of the network, last, gets \(1, 8\) for 3 images: not one row"
    ):
        embed_files(trained(_OneRow(), data), files)


@pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet(tmp_path: Path) -> None:
    import pandas as pd

    features = np.arange(6, dtype=np.float32).reshape(2, 3)
    found = Embeddings(["a", "\udcff"], features, "last", ["cat", "dog"], np.array([0.5, 1], np.float32), {})
    write_embeddings(found, tmp_path / "f.parquet")
    table: Any = pd.read_parquet(tmp_path / "f.parquet")
    assert list(table.columns) == ["path", "class", "probability", "features"]
    np.testing.assert_array_equal(np.stack(table["features"]), features)
    assert table["class"].tolist() == ["cat", "dog"]


def test_mistakes(colours: TrainedRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["embed", "--ckpt_path", str(colours.run), "--images", str(colours.images / "test")]
    monkeypatch.setattr(embeddings, "find_spec", lambda name: None)
    Path("folder.npz").mkdir()
    for given, said in (
        (words, "descent embed needs --to: the file to write, e.g. features.npz"),
        (words[:3], "descent embed needs --images"),
        ([*words, "--to", "f.csv"], "--to must be a file that ends in .npz or .parquet, got f.csv"),
        ([*words, "--to", "folder.npz"], "--to folder.npz is a folder"),
        ([*words, "--to", "f.parquet"], "needs pyarrow, not installed here: pip install pyarrow. --to f.npz needs no"),
    ):
        assert said in refused(given, capsys)
