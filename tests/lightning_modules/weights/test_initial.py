"""Start from the weights of a file: which names match, what is said, and what is an error."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from callbacks.checkpointing.reading import read_checkpoint
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.networks import TimmNetwork, TorchvisionNetwork
from lightning_modules.weights.initial import load_initial_weights
from lightning_modules.weights.needed import initial_weights_are_needed, weights_from_checkpoint
from lightning_modules.weights.reading import read_weights

SGD = partial(torch.optim.SGD, lr=0.1)


class Net(nn.Module):
    def __init__(self, classes: int = 3, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 2)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.norm(self.conv(images)).mean((2, 3)))


def taken(network: nn.Module, other: nn.Module, *, head: bool = True) -> bool:
    pairs = zip(network.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(one, two) for (name, one), two in pairs if head or not name.startswith("head"))


def wrapped(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize("form", ["plain", "module.", "state_dict", "model", "compiled", "lightning", "safetensors"])
def test_every_form_of_a_file(form: str, tmp_path: Path) -> None:
    old, new = Net(), Net()
    state: Any = old.state_dict()
    path = tmp_path / "weights.pth"
    if form == "safetensors":
        from safetensors.torch import save_file

        path = tmp_path / "weights.safetensors"
        save_file(state, path)
    else:
        content = {
            "plain": state,
            "module.": wrapped(state, "module."),
            "state_dict": {"state_dict": wrapped(state, "net."), "epoch": 3},
            "model": {"model": {"state": 1}, "model_ema": state},
            "compiled": wrapped(state, "_orig_mod."),
            "lightning": {
                "state_dict": wrapped(state, "network.") | {"loss.weight": torch.ones(3)},
                "pytorch-lightning_version": "2.6.5", "current_model_state": {},
            },
        }  # fmt: skip
        torch.save(content[form], path)
    said = load_initial_weights(new, path)
    assert taken(new, old)
    assert "9 of 9 tensors of Net taken; new: none; left over: none" in said
    assert ("averaged weights" in said) == (form in ("model", "lightning"))
    assert ("not of the network: loss.weight" in said) == (form == "lightning")


def test_another_number_of_classes_gives_a_new_head(tmp_path: Path) -> None:
    old, new = Net(classes=10), Net()
    torch.save(old.state_dict(), tmp_path / "a.pt")
    initial = new.head.weight.clone()
    said = load_initial_weights(new, tmp_path / "a.pt")
    assert taken(new, old, head=False)
    assert torch.equal(new.head.weight, initial)
    assert "7 of 9 tensors of Net taken; new: head.weight (3, 4), head.bias (3,)" in said


@pytest.mark.parametrize("file_has_one", [True, False])
def test_a_head_that_one_of_them_lacks(file_has_one: bool, tmp_path: Path) -> None:
    with_head, without = Net(), Net()
    without.head = nn.Identity()  # type: ignore[assignment]
    old, new = (with_head, without) if file_has_one else (without, with_head)
    torch.save(old.state_dict(), tmp_path / "a.pt")
    load_initial_weights(new, tmp_path / "a.pt")
    assert torch.equal(new.conv.weight, old.conv.weight)


def test_a_mismatch_that_is_not_the_head(tmp_path: Path) -> None:
    torch.save(Net(width=5).state_dict(), tmp_path / "a.pt")
    load = partial(load_initial_weights, Net(), tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"does not fit Net: of another shape: conv\.weight \(5, 1, 2, 2\) in the file"):
        load()
    load(strict=False)
    state = Net().state_dict()
    torch.save({name: value for name, value in state.items() if name != "conv.bias"}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"only in the network: conv\.bias\. .*--model\.weights_strict false"):
        load()
    torch.save({"other.weight": torch.ones(1)}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"no layer of .* fits Net"):
        load(strict=False)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    load = partial(load_initial_weights, Net(), path)
    with pytest.raises(UserError, match="there is no file"):
        load()
    torch.save(Net(), path)
    with pytest.raises(UserError, match=r"Save the weights alone: torch\.save\(network\.state_dict\(\), FILE\)"):
        load()
    torch.save({"a": 1}, path)
    with pytest.raises(UserError, match="holds no weights by name; it holds a"):
        load()
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"(is not a file of torch|Python objects)"):
        load()
    with pytest.raises(UserError, match="is not a run's folder"):
        load_initial_weights(Net(), tmp_path)


def test_a_timm_file_with_the_names_of_timm(tmp_path: Path) -> None:
    import timm

    theirs = timm.create_model("resnet10t", num_classes=1000)
    torch.save(theirs.state_dict(), tmp_path / "resnet10t.pth")
    ours = TimmNetwork("resnet10t", num_classes=7)
    load_initial_weights(ours, tmp_path / "resnet10t.pth")
    assert torch.equal(ours.state_dict()["model.conv1.0.weight"], theirs.state_dict()["conv1.0.weight"])


def test_a_checkpoint_is_loaded_instead(tmp_path: Path) -> None:
    """A resume, a test or a prediction never needs the file again."""
    torch.save(Net().state_dict(), tmp_path / "a.pt")
    data = torch.utils.data.DataLoader([(torch.zeros(1, 4, 4), 0), (torch.ones(1, 4, 4), 1)], batch_size=2)  # type: ignore[arg-type, var-annotated]
    options: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "max_epochs": 1}
    made = partial(ImageClassifier, optimizer=SGD, num_classes=3, weights=str(tmp_path / "a.pt"))
    trainer = Trainer(**options, default_root_dir=tmp_path, enable_checkpointing=False)
    trainer.fit(made(Net()), data)
    trainer.save_checkpoint(tmp_path / "it.ckpt")
    (tmp_path / "a.pt").unlink()
    trainer.fit(made(Net()), data, ckpt_path=tmp_path / "it.ckpt")
    trainer.test(made(Net()), data, ckpt_path=tmp_path / "it.ckpt", verbose=False)
    with pytest.raises(UserError, match="there is no file"):
        trainer.test(made(Net()), data, verbose=False)


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_1", "resnet18"])
def test_pretrained_networks_need_no_download_for_a_checkpoint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with weights_from_checkpoint():
        assert not initial_weights_are_needed()
        network = TorchvisionNetwork(name, num_classes=3, pretrained=True)
    assert initial_weights_are_needed()

    def full(url: str, **_: Any) -> dict[str, Tensor]:
        from torchvision import models

        aux = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
        return dict(models.get_model(name, **aux).state_dict())

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", full)
    downloaded = TorchvisionNetwork(name, num_classes=3, pretrained=True)
    sizes = [[(key, value.shape) for key, value in each.state_dict().items()] for each in (network, downloaded)]
    assert sizes[0] == sizes[1]
    assert getattr(network.model, "transform_input", None) == getattr(downloaded.model, "transform_input", None)


def test_timm_weights_need_no_download_for_a_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr("timm.models._builder.load_pretrained", offline)
    with pytest.raises(ConnectionError):
        TimmNetwork("resnet10t", num_classes=3, pretrained=True)
    with weights_from_checkpoint():
        TimmNetwork("resnet10t", num_classes=3, pretrained=True)


def test_an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "made_up_weights"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('its code must not run')")
    network = nn.Linear(3, 2)
    torch.save(network.state_dict(), folder / "net.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    other = nn.Linear(3, 2)
    assert "net.pth" in load_initial_weights(other, "package:made-up-weights")
    assert torch.equal(network.weight, other.weight)
    torch.save(network.state_dict(), folder / "second.pth")
    with pytest.raises(UserError, match="should hold one file of weights, found"):
        load_initial_weights(other, "package:made-up-weights")
    with pytest.raises(UserError, match="there is no package 'nothing-like-it': pip install nothing-like-it"):
        load_initial_weights(other, "package:nothing-like-it")


def test_the_names_of_another_library(tmp_path: Path) -> None:
    ours = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    theirs = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5)).state_dict()
    names = {"0": "_conv_stem", "1": "_bn0", "3": "_fc"}
    renamed = {f"{names[name[0]]}{name[1:]}": value for name, value in theirs.items()}
    torch.save(renamed, tmp_path / "file.pth")
    said = load_initial_weights(ours, tmp_path / "file.pth")
    assert "by order and shape" in said
    assert torch.equal(ours.state_dict()["0.weight"], theirs["0.weight"])
    swapped = {"_a.bias": renamed["_conv_stem.bias"], **renamed}
    torch.save(swapped, tmp_path / "file.pth")
    with pytest.raises(UserError, match="no layer of"):
        load_initial_weights(ours, tmp_path / "file.pth")


NOT_OF_TORCH = [bytes([first]) + b"lass Net:\n    pass\n" for first in range(256)]
NOT_OF_TORCH += [b"\x80\x02" + bytes([opcode]) + b"abc\n." for opcode in range(256)]  # a damaged pickle


@pytest.mark.parametrize("ending", ["pth", "ckpt"])
def test_a_file_that_is_not_of_torch_is_an_error_of_one_line(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights.{ending}"
    for content in NOT_OF_TORCH:
        path.write_bytes(content)
        for read in (read_weights, read_checkpoint):
            with pytest.raises(UserError) as raised:
                read(path)
            assert "\n" not in str(raised.value), content
            assert content[:1] == b"\x80" or "could run code" not in str(raised.value), content
