"""The search changes nothing, finds a good rate, and starts every schedule from it."""

import copy
import csv
import json
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import LightningModule, seed_everything
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from callbacks import LRFinder, find_lr
from callbacks.learning_rate.search import LRSearch
from foundation.errors import UserError
from foundation.random_streams import random_state
from tests.callbacks.inside_case import classifier, data, fit, half_precision, same_bits, trainer_in
from tests.callbacks.learning_rate.finder_case import SHORT, Grouped, Rates, linear

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def made(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value() if isinstance(value, Callable) else value for name, value in flags.items()}  # type: ignore[arg-type]


def logged(folder: Path) -> str:
    return (folder / "metrics.csv").read_text()


@pytest.mark.parametrize(
    "flags",
    [{}, {"plugins": half_precision}, {"accumulate_grad_batches": 2}, {"gradient_clip_val": 0.5}],
    ids=["fp32", "scaler", "accumulation", "clipping"],
)
def test_a_fit_ends_with_the_same_bits(tmp_path: Path, flags: dict[str, Any]) -> None:
    plain = fit(tmp_path / "plain", **made(flags), batch_size=64)
    finder = LRFinder(apply=False, **(SHORT | {"steps": 20}))
    searched = fit(tmp_path / "searched", callbacks=[finder], **made(flags), batch_size=64)
    assert finder.search is not None
    assert same_bits(plain, searched)
    assert logged(tmp_path / "plain") == logged(tmp_path / "searched")


class Fails(nn.Module):
    """Raises at a training step."""

    def __init__(self, error: type[BaseException], at: int) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)
        self.error, self.at, self.steps, self.armed = error, at, 0, False

    def forward(self, images: Tensor) -> Tensor:
        self.steps += self.training
        if self.armed and self.steps > self.at:
            raise self.error("planted")
        output: Tensor = self.linear(images.flatten(1))
        return output


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_everything_is_restored_after_an_exception(tmp_path: Path, error: type[BaseException]) -> None:
    module, images = classifier(Fails(error, 5), scheduler=None), data(batch_size=64)
    module.network.armed = True  # type: ignore[assignment]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    before, weights, attributes = random_state(), copy.deepcopy(module.state_dict()), set(vars(images))
    with pytest.raises(error):
        find_lr(module, images, accelerator="cpu", **SHORT)
    after = random_state()
    assert before["python"] == after["python"]
    assert all(np.array_equal(b, a) for b, a in zip(before["numpy"], after["numpy"], strict=True))
    assert torch.equal(before["torch"], after["torch"])
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    assert module.network.steps == 0
    assert images.train_set is None
    assert set(vars(images)) == attributes
    assert images.trainer is None
    assert torch.is_grad_enabled()
    module.network.armed = False  # type: ignore[assignment]
    trainer_in(tmp_path, max_epochs=1).fit(module, images)  # a fit works as before


def test_the_generator_of_a_loader_is_restored() -> None:
    images = data(batch_size=512)
    images.setup("fit")
    dataset = TensorDataset(*images.prepare_batch(next(iter(images.train_dataloader())), training=False))
    loader = DataLoader(dataset, 64, shuffle=True, generator=torch.Generator().manual_seed(3))
    state = loader.generator.get_state()
    module = classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), scheduler=None, num_classes=10)
    search = find_lr(module, loader, accelerator="cpu", **SHORT)
    assert torch.equal(loader.generator.get_state(), state)
    assert search.losses.shape == (1, 60)


def test_the_same_search_twice_finds_the_same() -> None:
    searches = [
        find_lr(classifier(linear(), scheduler=None), data(batch_size=64), accelerator="cpu", **SHORT) for _ in range(2)
    ]
    np.testing.assert_array_equal(searches[0].losses, searches[1].losses)


def test_repeats_train_on_other_data() -> None:
    module = classifier(linear(), scheduler=None)
    losses = find_lr(module, data(batch_size=64), accelerator="cpu", **(SHORT | {"repeats": 2})).losses
    assert not np.isclose(losses[0, :5], losses[1, :5]).any()


def test_the_first_loss_is_that_of_the_module() -> None:
    """At the lowest rate the first loss is that of the untrained weights, also with accumulation and in fp16."""
    module = classifier(linear(), scheduler=None)
    images = data(batch_size=300)
    images.setup("fit")
    whole = torch.stack([images.prepare_batch(batch, False)[0] for batch in images.train_dataloader()]).flatten(0, 1)
    targets = torch.cat([batch[1] for batch in images.train_dataloader()])
    expected = float(nn.functional.cross_entropy(module.network(whole), targets))
    options: dict[str, Any] = {"accelerator": "cpu"}
    for more in ({}, {"accumulate_grad_batches": 2}, {"plugins": [half_precision(1024.0)]}):
        search = find_lr(module, data(batch_size=300), **options, **more, **SHORT)
        assert search.losses[0, 0] == pytest.approx(expected, rel=0.05)


def test_groups_keep_their_ratio(tmp_path: Path) -> None:
    finder, rates = LRFinder(**SHORT), Rates()
    fit(tmp_path, Grouped(), [finder, rates], batch_size=64)
    assert finder.search is not None
    pick = finder.search.pick
    assert finder.search.per_group == pytest.approx([pick, 10 * pick])
    assert all(row == pytest.approx([pick, 10 * pick]) for row in rates.rates)


def test_no_search_on_a_resume(tmp_path: Path) -> None:
    seed_everything(1, verbose=False)
    trainer = trainer_in(tmp_path, max_epochs=1)
    trainer.fit(classifier(linear(), scheduler=None), data(batch_size=64))
    trainer.save_checkpoint(tmp_path / "mid.ckpt")
    finder, rates = LRFinder(**SHORT), Rates()
    resumed = trainer_in(tmp_path / "resumed", [finder, rates], max_epochs=2)
    resumed.fit(classifier(linear(), scheduler=None), data(batch_size=64), ckpt_path=str(tmp_path / "mid.ckpt"))
    assert finder.search is None
    assert rates.rates == [[0.05]] * 10


@pytest.mark.drawn
def test_files(tmp_path: Path) -> None:
    module = classifier(linear(), scheduler=None)
    options = SHORT | {"run_steps": 100}
    search = find_lr(module, data(batch_size=64), accelerator="cpu", confirm=True, confirm_steps=20, **options)
    search.save(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"lr_finder.png", "lr_finder.csv", "lr_finder.json"}
    assert (tmp_path / "lr_finder.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((tmp_path / "lr_finder.json").read_text())
    assert found["pick"] == search.pick
    assert [entry["steps"] for entry in found["runs"]][-3:] == [20, 20, 20]
    assert found["judged_by"] == "validation"
    assert found["equally_good"][0] <= found["pick"] <= found["equally_good"][1]
    with (tmp_path / "lr_finder.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["lr"]) for row in rows] == search.rates.tolist()
    assert [float(row["loss_0"]) for row in rows[:20]] == search.losses[0, :20].tolist()


def figure_texts(search: LRSearch) -> str:
    figure = search.plot()
    found = [legend for axes in figure.axes if (legend := axes.get_legend()) is not None]
    legends = [text.get_text() for legend in found for text in legend.get_texts()]
    return "\n".join([figure.get_suptitle(), *legends])


@pytest.mark.drawn
@pytest.mark.parametrize(("method", "confirm"), [("short_runs", False), ("short_runs", True), ("valley", False)])
def test_the_number_is_the_same_everywhere(tmp_path: Path, method: Any, confirm: bool) -> None:
    module = classifier(linear(), optimizer=partial(torch.optim.AdamW, lr=1e-3), scheduler=None)
    options = SHORT | {"method": method, "confirm": confirm, "confirm_steps": 20, "run_steps": 300}
    search = find_lr(module, data(batch_size=64), accelerator="cpu", folder=tmp_path, **options)
    text = f"{search.pick:.3g}"
    assert float(text) == search.pick
    written = (tmp_path / "lr_finder.yaml").read_text()
    assert yaml.safe_load(written)["model"]["init_args"]["optimizer"]["init_args"]["lr"] == search.pick
    assert json.loads((tmp_path / "lr_finder.json").read_text())["pick"] == search.pick
    for said in (written, search.summary(), figure_texts(search)):
        assert text in said
        assert search.basis in said
    assert search.confirmed == confirm
    assert ("confirming runs of 20 steps" in search.basis) == confirm


def test_the_cost_is_bounded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    step = torch.optim.SGD.step

    def counted(*args: Any, **kwargs: Any) -> Any:
        taken.append(1)
        return step(*args, **kwargs)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    for confirm, most in ((False, 200), (True, 600)):
        taken.clear()
        options: Any = {"accelerator": "cpu", "run_steps": 200, "confirm": confirm}
        search = find_lr(classifier(linear(), scheduler=None), data(batch_size=64), **options)
        assert search.steps <= len(taken) <= most
        assert len(taken) <= search.steps + 10  # the loss of the range test is read every 10 steps


def test_a_longer_run_gets_a_lower_rate() -> None:
    short, long = (
        find_lr(classifier(linear(), scheduler=None), data(batch_size=64), run_steps=steps, accelerator="cpu", **SHORT)
        for steps in (100, 10_000)
    )
    assert long.pick < short.pick
    assert short.runs == long.runs
    assert "carried over to a run of 10000" in long.basis


def test_a_module_without_validation_data_says_what_judged() -> None:
    images = data(batch_size=512)
    images.setup("fit")
    dataset = TensorDataset(*images.prepare_batch(next(iter(images.train_dataloader())), training=False))
    module = classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), scheduler=None, num_classes=10)
    search = find_lr(module, DataLoader(dataset, 64, shuffle=True), accelerator="cpu", **SHORT)
    assert not search.validation
    assert "batches of the training data judged the short runs" in search.summary()
    assert "an assumed length" in search.basis
    assert search.shape.steps == 1000


def test_find_lr_writes_the_files(tmp_path: Path) -> None:
    module = classifier(linear(), optimizer=partial(torch.optim.AdamW, lr=1e-3, betas=(0.9, 0.99)))
    search = find_lr(module, data(batch_size=64), accelerator="cpu", folder=tmp_path / "found", **SHORT)
    files = {file.name for file in (tmp_path / "found").iterdir()}
    assert files == {"lr_finder.png", "lr_finder.csv", "lr_finder.json", "lr_finder.yaml"}
    preset = yaml.safe_load((tmp_path / "found/lr_finder.yaml").read_text())
    assert preset["model"]["class_path"] == "lightning_modules.ImageClassifier"
    assert preset["model"]["init_args"] == {
        "optimizer": {
            "class_path": "torch.optim.AdamW",
            "init_args": {"lr": search.pick, "betas": [0.9, 0.99]},
        }
    }
    assert json.loads((tmp_path / "found/lr_finder.json").read_text())["pick"] == search.pick
    module.optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.1)  # a config cannot name it
    find_lr(module, data(batch_size=64), accelerator="cpu", folder=tmp_path / "other", **SHORT)
    assert not (tmp_path / "other/lr_finder.yaml").exists()


def test_a_flat_curve_is_refused() -> None:
    module = classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), scheduler=None)
    with pytest.raises(UserError, match="does not fall"):
        find_lr(module, data(batch_size=64), low=1e-12, high=1e-9, steps=30, accelerator="cpu")


class Untrained(LightningModule):
    """Its weights do not change the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(64, 10)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return 0 * self.network(batch[0].flatten(1)).mean() + batch[0].var()

    def configure_optimizers(self) -> Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_module_that_does_not_learn_is_refused() -> None:
    with pytest.raises(UserError, match="does not fall"):
        find_lr(Untrained(), data(batch_size=64), accelerator="cpu", **SHORT)


def test_a_module_that_cannot_be_copied() -> None:
    module = classifier(linear(), scheduler=None)
    module.handle = (value for value in range(3))  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"ImageClassifier cannot be copied \(TypeError"):
        find_lr(module, data(batch_size=64), accelerator="cpu", **SHORT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.0}, "low must be > 0 and below high, got low 0 and high 10"),
        ({"low": 1.0, "high": 0.1}, "low must be > 0 and below high"),
        ({"steps": 5}, r"steps must be in \[20, 10000\], got 5"),
        ({"repeats": 1000}, r"repeats must be in \[1, 100\], got 1000"),
        ({"seed": -1}, "seed must be ≥ 0, got -1"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LRFinder(**arguments)
