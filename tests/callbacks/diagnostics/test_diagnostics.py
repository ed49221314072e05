"""Planted problems are found and named; a healthy run has none."""

import re
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from callbacks import Diagnostics
from callbacks.diagnostics.findings import findings
from callbacks.diagnostics.samples import Row, added, packed, unpacked
from tests.callbacks.inside_case import classifier, fit

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def network(dead: bool = False, frozen: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layers: dict[str, nn.Module] = {
        "flat": nn.Flatten(),
        "one": nn.Linear(64, 32),
        "relu_one": nn.ReLU(),
        "two": nn.Linear(32, 32),
        "relu_two": nn.ReLU(),
        "three": nn.Linear(32, 10),
    }
    two: Any = layers["two"]
    if dead:
        two.bias.data[:16] = -100.0
    if frozen:
        two.requires_grad_(False)
    return nn.Sequential(OrderedDict(layers))


def findings_of(folder: Path, net: nn.Module, lr: float = 0.01) -> str:
    watch = Diagnostics(every_n_steps=2)
    fit(folder, classifier(net, optimizer=partial(torch.optim.SGD, lr=lr), scheduler=None), [watch], batch_size=64)
    return "\n".join(watch.findings)


@pytest.mark.drawn
def test_healthy(tmp_path: Path) -> None:
    assert findings_of(tmp_path, network()) == ""
    page = (tmp_path / "diagnostics.html").read_text()
    assert "No problem was found" in page
    assert page.count("<svg") >= 5
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)


def test_a_dead_layer(tmp_path: Path) -> None:
    assert "network.relu_two: 50% of units dead since epoch 1" in findings_of(tmp_path, network(dead=True))


def test_a_frozen_layer(tmp_path: Path) -> None:
    assert "network.two: not trained, requires_grad is off." in findings_of(tmp_path, network(frozen=True))


class Convolutions(nn.Module):
    """Two convolutions and a linear layer; the second may be dead, or not influence the loss."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.relu = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3), nn.ReLU()
        self.head, self.fault = nn.Linear(8 * 16, 10), fault
        if fault == "dead":
            self.second.bias.data[:] = -100.0  # type: ignore[union-attr]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = self.second(self.first(images))
        hidden = hidden.detach() + self.first(images)[:, :1, 1:-1, 1:-1] if self.fault == "frozen" else hidden
        output: torch.Tensor = self.head(self.relu(hidden).flatten(1))
        return output


def test_a_dead_convolution(tmp_path: Path) -> None:
    text = findings_of(tmp_path, Convolutions("dead"))
    assert "network.relu: 100% of units dead since epoch 1" in text
    assert "try batch normalization before it" in text
    assert "network.second: frozen" in text


def test_a_convolution_that_the_loss_does_not_depend_on(tmp_path: Path) -> None:
    """Its parameters are trainable and in the optimizer, but get no gradient."""
    net = Convolutions("frozen")
    assert all(p.requires_grad for p in net.parameters())
    lines = findings_of(tmp_path, net).splitlines()
    assert [line for line in lines if "frozen" in line or "not trained" in line] == [
        "network.second: frozen, its weights do not move (update 0 of their size); check that the loss depends on it, and "
        "that the optimizer has its parameters."
    ]


def test_an_exploding_rate(tmp_path: Path) -> None:
    assert "the learning rate is too high" in findings_of(tmp_path, network(), lr=30.0)


def test_only_sampled_steps(tmp_path: Path) -> None:
    watch = Diagnostics(every_n_steps=5)
    fit(tmp_path, callbacks=[watch])
    steps = {row[0] for row in watch.rows if row[3] == "update"}
    assert steps == {5, 10, 15, 20}
    table = pd.read_csv(tmp_path / "diagnostics.csv")
    assert set(table["quantity"]) >= {"mean", "std", "near_zero", "dead", "gradient", "update", "weight_std"}


def test_in_tensorboard(tmp_path: Path) -> None:
    watch = Diagnostics(every_n_steps=5)
    fit(tmp_path, callbacks=[watch], logger=TensorBoardLogger(tmp_path, name="", version=""))
    events = EventAccumulator(str(tmp_path)).Reload()
    found = events.Scalars("within_gradient/network.head")
    kept = {row[0]: row[4] for row in watch.rows if row[2:4] == ("network.head", "gradient")}
    assert {event.step: event.value for event in found} == pytest.approx(kept)
    assert len(found) == 4
    assert "weights/network.head.weight" in events.Tags()["histograms"]


def test_sentences_of_findings() -> None:
    def rows(quantity: str, values: dict[str, list[float]]) -> list[tuple[int, int, str, str, float]]:
        return [(i, i, layer, quantity, v) for layer, vs in values.items() for i, v in enumerate(vs)]

    data = rows("dead", {"conv3": [0.1, 0.41, 0.41]}) + rows("saturated", {"tanh": [0.7, 0.8, 0.9]})
    data += rows("gradient", {"a": [1e-7], "b": [0.1], "c": [1.0]})
    data += rows("update", {"a": [0.0], "b": [1e-3], "c": [1e-3]})
    text = findings(pd.DataFrame(data, columns=["step", "epoch", "layer", "quantity", "value"]), {"d": False})
    assert text[0].startswith("conv3: 41% of units dead since epoch 2")
    assert text[0].endswith("try a lower learning rate or a warmup.")
    assert text[1] == "d: not trained, requires_grad is off."
    assert text[2].startswith("a: frozen, its weights do not move")
    assert text[3].startswith("Gradients vanish in a: below 0.0001")
    assert text[4].startswith("tanh: 80% of its outputs lie at a bound")


def test_loaded_samples_follow_the_module_to_its_device() -> None:
    """A checkpoint is read onto the CPU, before the module moves to a GPU; the meta device stands for one."""
    module, resumed = classifier(), Diagnostics()
    trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    resumed.on_load_checkpoint(
        trainer, module, {"diagnostics": {"rows": [], "active": {"relu after ": torch.ones(3, dtype=torch.bool)}}}
    )
    module.to("meta")
    resumed.on_train_start(trainer, module)
    resumed._hook("relu")(nn.ReLU(), (), torch.zeros(2, 3, device="meta"))
    assert {active.device.type for active in resumed.units.active.values()} == {"meta"}


def test_a_checkpoint_of_a_long_run_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times as many steps leave as many samples, over the whole run, and of every kind."""
    monkeypatch.setattr("callbacks.diagnostics.samples.MAX_SAMPLES", 20)
    rows: list[Row] = []
    resumed: list[Row] = []
    for step in range(2, 802, 2):
        sample: list[Row] = [(step, step // 20, "head", quantity, step / 3) for quantity in ("mean", "update")]
        dead: list[Row] = [(step, step // 20, "relu", "dead", 0.5)] if step % 20 == 18 else []
        rows = added(added(rows, sample, 2), dead, 2)
        resumed = added(added(unpacked(packed(resumed)), sample, 2), dead, 2)  # saved and loaded after each step
        assert len(rows) <= 2 * 20 + 20
    assert [row[:4] for row in resumed] == [row[:4] for row in rows]
    assert torch.tensor([row[4] for row in rows]).equal(torch.tensor([row[4] for row in resumed]))
    assert [row[0] for row in rows if row[3] == "update"] == list(range(64, 801, 64))
    assert [row[1] for row in rows if row[3] == "dead"] == list(range(1, 40, 2))


def test_a_run_keeps_no_more_samples_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbacks.diagnostics.samples.MAX_SAMPLES", 4)
    monkeypatch.setattr(Diagnostics, "on_train_end", lambda *_: None)  # the page, which takes longer than the run
    watch = Diagnostics(every_n_steps=1)
    fit(tmp_path, classifier(network(), scheduler=None), [watch], limit_train_batches=6)
    assert len({row[0] for row in watch.rows if row[3] == "update"}) <= 4
    checkpoint: dict[str, Any] = {}
    watch.on_save_checkpoint(Trainer(accelerator="cpu", logger=False), classifier(), checkpoint)
    assert checkpoint["diagnostics"].keys() == {"keys", "places", "values", "active"}
    assert len(checkpoint["diagnostics"]["values"]) == len(watch.rows)


def test_bad_argument() -> None:
    with pytest.raises(ValueError, match="every_n_steps must be ≥ 1, got 0"):
        Diagnostics(every_n_steps=0)
