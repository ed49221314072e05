"""A compiled run is that of its uncompiled twin up to rounding, resumes exactly, and leaves ordinary checkpoints."""

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor, nn

from callbacks import EMA, Compile, Diagnostics, Preflight, compilation
from callbacks.compilation import CompiledForward, check_compiler, first_line, is_of_the_compiler
from cli import main
from datamodules import CropFlip
from foundation.errors import UserError
from lightning_modules import ImageClassifier
from lightning_modules.networks import MLP
from tests.datamodules.memory.test_resume import SaveEverywhere
from tests.datamodules.support import MadeUp, quiet_trainer


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The graphs that are compiled, which run as they are: no time is spent on machine code."""
    found: list[Any] = []

    def count(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        found.append(graph)
        return graph.forward

    monkeypatch.setattr(compilation, "BACKEND", count)
    torch.compiler.reset()
    return found


def classifier(network: nn.Module | None = None) -> ImageClassifier:
    torch.manual_seed(0)
    network = network or MLP(num_classes=2, in_channels=48, hidden=[4])
    return ImageClassifier(network=network, loss=nn.CrossEntropyLoss(), optimizer=partial(torch.optim.SGD, lr=0.1))


def data(**kwargs: Any) -> MadeUp:
    arguments: dict[str, Any] = {"batch_size": 20, "eval_batch_size": 7, "seed": 1, "drop_last": False}
    return MadeUp(train=60, augmentation=CropFlip(1), **(arguments | kwargs))


def fitted(*callbacks: Callback, epochs: int = 2, checkpoint: Path | None = None) -> ImageClassifier:
    module = classifier()
    trainer = quiet_trainer(max_epochs=epochs, callbacks=list(callbacks))
    trainer.fit(module, data(), ckpt_path=checkpoint)
    return module


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_the_same_weights_and_names_and_nothing_is_left(graphs: list[Any]) -> None:
    plain, compiled = fitted(), fitted(Compile(), Preflight())
    assert same(plain, compiled)
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert "forward" not in vars(compiled.network)
    assert graphs


def test_each_shape_is_compiled_once(graphs: list[Any]) -> None:
    class Count(Callback):
        counts: list[int] = []  # noqa: RUF012

        def on_validation_end(self, trainer: Any, module: LightningModule) -> None:
            self.counts.append(len(graphs))

    fitted(Compile(), count := Count(), epochs=4)
    assert count.counts[2:] == [count.counts[1]] * (len(count.counts) - 2)
    assert count.counts[-1] <= 1 + 2 * 4  # the check; network and loss: two shapes in training, two in validation


def test_resumed_exactly_with_and_without_it(tmp_path: Path, graphs: list[Any]) -> None:
    whole = fitted(Compile(), SaveEverywhere(tmp_path))  # 3 batches in an epoch, the last one smaller
    for callbacks in ([Compile()], []):
        torch.compiler.reset()
        assert same(whole, fitted(*callbacks, checkpoint=tmp_path / "4.ckpt"))


def test_with_an_average_of_the_weights(graphs: list[Any]) -> None:
    assert same(fitted(EMA()), fitted(EMA(), Compile()))


def test_copies_and_pickles_compute_with_their_own_weights(graphs: list[Any]) -> None:
    layer = nn.Linear(2, 1)
    vars(layer)["forward"] = CompiledForward(layer)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert isinstance(other.forward, CompiledForward)
        with torch.no_grad():
            other.weight.zero_()
            other.bias.fill_(3)
        assert other(torch.ones(1, 2)).item() == 3
    assert list(layer.state_dict()) == ["weight", "bias"]


class Breaks(MLP):
    def forward(self, inputs: Tensor) -> Tensor:
        output = super().forward(inputs)
        return output * 2 if output.sum().item() > 1e9 else output


def test_a_network_that_is_not_one_graph(graphs: list[Any]) -> None:
    module = classifier(Breaks(num_classes=2, in_channels=48, hidden=[4]))
    with pytest.raises(UserError, match=r"cannot compile Breaks.forward as one graph: .* leave out --compile"):
        quiet_trainer(max_epochs=1, callbacks=[Compile()]).fit(module, data())


def test_errors_of_other_kinds_stay() -> None:
    assert not is_of_the_compiler(ValueError("an error of the network"))
    assert first_line(ValueError()) == "ValueError."
    assert first_line(ValueError("It broke.\n  more\n  Explanation: No graph.\n")) == "It broke. No graph."


def test_what_cannot_be_combined(graphs: list[Any]) -> None:
    with pytest.raises(UserError, match="Diagnostics measures layers"):
        fitted(Compile(), Diagnostics())
    from lightning.pytorch.demos.boring_classes import BoringModel

    with pytest.raises(UserError, match="BoringModel has none of network, generator"):
        quiet_trainer(max_epochs=1, callbacks=[Compile()]).fit(BoringModel())


def test_a_machine_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nmore lines")

    monkeypatch.setattr(compilation, "BACKEND", fails)
    with pytest.raises(UserError, match=r"does not work on this machine, it needs a C\+\+ compiler .*leave out --comp"):
        check_compiler(torch.device("cpu"))


def test_the_flag(tmp_path: Path, graphs: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.limit_train_batches", "2"]
    main(
        [
            "fit",
            "-c",
            "configs/quickstart.yaml",
            "--compile",
            "true",
            f"--trainer.default_root_dir={tmp_path}",
            *arguments,
        ]
    )
    assert graphs
    seen = len(graphs)
    main(["test", "--ckpt_path", str(tmp_path / "quickstart" / "0"), "--trainer.accelerator", "cpu"])
    assert len(graphs) == seen
