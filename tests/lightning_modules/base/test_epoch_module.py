"""Loading weights: strict or not, and of a network that `torch.compile` wraps."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.base.supervised import SupervisedModule
from tests.datamodules.support import quiet_trainer

SGD = partial(torch.optim.SGD, lr=0.1)


def made(classes: int = 3, *, more: bool = False) -> ImageClassifier:
    layers: list[nn.Module] = [nn.Flatten(), nn.Linear(4, classes)]
    return ImageClassifier(nn.Sequential(*layers, *([nn.Linear(classes, classes)] if more else [])), SGD)


def compiled(module: ImageClassifier) -> ImageClassifier:
    module.network = torch.compile(module.network)  # type: ignore[assignment]
    return module


def weight(module: ImageClassifier) -> Tensor:
    return next(module.parameters()).detach()


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, ImageClassifier]:
    module = made()
    torch.save({"state_dict": module.state_dict(), "pytorch-lightning_version": "2.6.5"}, tmp_path / "it.ckpt")
    return tmp_path / "it.ckpt", module


def test_a_checkpoint_of_another_network(saved: tuple[Path, ImageClassifier]) -> None:
    path, module = saved
    load = partial(ImageClassifier.load_from_checkpoint, path, optimizer=SGD)
    larger = made(more=True).network
    with pytest.raises(UserError, match=r"of another network than Sequential as configured: only in the network"):
        load(network=larger)
    assert torch.equal(weight(load(network=larger, strict=False)), weight(module))


def test_strict_loading_is_off(saved: tuple[Path, ImageClassifier], tmp_path: Path) -> None:
    path, module = saved
    other = made(more=True)
    other.strict_loading = False
    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path, enable_progress_bar=False)
    data = DataLoader(TensorDataset(torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.long)))
    other.num_classes = 3
    trainer.validate(other, data, ckpt_path=path, verbose=False)
    assert torch.equal(weight(other), weight(module))


def test_a_compiled_network_and_a_plain_one_take_each_others_weights() -> None:
    plain, wrapped = made(), compiled(made())
    assert any("_orig_mod" in name for name in wrapped.state_dict())
    plain.load_state_dict(wrapped.state_dict())
    assert torch.equal(weight(plain), weight(wrapped))
    third = compiled(made())
    third.load_state_dict(plain.state_dict())
    assert torch.equal(weight(third), weight(plain))
    checkpoint = {"state_dict": wrapped.state_dict()}
    plain.on_load_checkpoint(checkpoint)
    assert checkpoint["state_dict"].keys() == plain.state_dict().keys()


def test_a_fit_that_was_interrupted_leaves_nothing_to_the_next_ones_means() -> None:
    class Interrupt(Callback):
        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            raise ValueError("interrupted")

    module = SupervisedModule(nn.Linear(1, 1), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(4, 1), torch.zeros(4, 1)), 2)
    with pytest.raises(ValueError, match="interrupted"):
        quiet_trainer(max_epochs=1, callbacks=[Interrupt()]).fit(module, loader)
    assert module.means["train"].count == 2
    with torch.no_grad():
        module.network.weight.fill_(3.0)  # type: ignore[union-attr, operator]
        module.network.bias.zero_()  # type: ignore[union-attr, operator]
    trainer = quiet_trainer(max_epochs=1)
    trainer.fit(module, loader)
    assert trainer.callback_metrics["train/loss"] == pytest.approx(9.0)
