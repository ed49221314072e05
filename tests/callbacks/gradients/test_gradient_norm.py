"""Norms against float64 sums of squares, in every precision and kind of clipping that a CPU supports."""

import csv
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks import GradientNorm
from callbacks.gradients.clipping_report import clipping_report
from callbacks.gradients.measure import scaler_of
from lightning_modules.base.supervised import SupervisedModule
from tests.callbacks.inside_case import Foreign, Network, classifier, data, fit, half_precision, trainer_in
from tests.datamodules.support import quiet_trainer

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def float64_norm(optimizer: Optimizer, scale: float = 1.0) -> float:
    squares = [(p.grad.double() / scale).square().sum() for g in optimizer.param_groups for p in g["params"]]
    return math.sqrt(float(sum(squares)))


class Reference(Callback):
    """Norms before and after clipping in float64, from the hooks of trainer and optimizer."""

    def __init__(self) -> None:
        self.before: list[float] = []
        self.after: list[float] = []
        self.layers: list[dict[str, float]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.optimizers[0].register_step_post_hook(self._after)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        scaler = scaler_of(trainer)
        # A fused optimizer unscales inside its step, unless that is left to the scaler, as in our modules.
        inside = optimizer.defaults.get("fused") and getattr(optimizer, "_step_supports_amp_scaling", False)
        self.scale = scaler.get_scale() if scaler and inside else 1.0
        self.before.append(float64_norm(optimizer, self.scale))
        self.after.append(math.nan)
        own = {name.rpartition(".")[0] for name, _ in pl_module.named_parameters()}
        self.layers.append({name: self._layer(pl_module, name) for name in own})

    def _layer(self, module: LightningModule, name: str) -> float:
        grads = [p.grad for p in module.get_submodule(name).parameters(recurse=False)]
        return math.sqrt(sum(float((g.double() / self.scale).square().sum()) for g in grads if g is not None))

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if not float(getattr(optimizer, "found_inf", None) or 0.0):
            self.after[-1] = float64_norm(optimizer)  # a fused step has unscaled in place


CASES: dict[str, dict[str, Any]] = {
    "fp32": {},
    "fp32, norm": {"gradient_clip_val": 0.4},
    "fp32, value": {"gradient_clip_val": 0.05, "gradient_clip_algorithm": "value"},
    "accumulation": {"accumulate_grad_batches": 3, "gradient_clip_val": 0.4},
    "bf16": {"precision": "bf16-mixed", "gradient_clip_val": 0.4},
    "scaler": {"plugins": half_precision},
    "scaler, norm": {"plugins": half_precision, "gradient_clip_val": 0.4},
    "scaler, value": {"plugins": half_precision, "gradient_clip_val": 0.05, "gradient_clip_algorithm": "value"},
    "scaler, accumulation": {"plugins": half_precision, "accumulate_grad_batches": 2, "gradient_clip_val": 0.4},
}


def made(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value() if isinstance(value, Callable) else value for name, value in flags.items()}  # type: ignore[arg-type]


def close(found: float, expected: float) -> bool:
    return (math.isnan(found) and math.isnan(expected)) or math.isclose(found, expected, rel_tol=1e-6)


def check(norms: GradientNorm, reference: Reference) -> None:
    steps = norms.records[0].since_log
    assert len(steps) == len(reference.before) > 5
    for step, before, after in zip(steps, reference.before, reference.after, strict=True):
        assert math.isfinite(step.before) == math.isfinite(before)
        assert not math.isfinite(before) or close(step.before, before)
        assert close(step.after, after)
        assert step.skipped == math.isnan(after)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_equal_to_float64(tmp_path: Path, name: str, foreign: bool) -> None:
    norms, reference = GradientNorm(), Reference()
    fit(
        tmp_path,
        Foreign() if foreign else classifier(),
        [norms, reference],
        log_every_n_steps=1000,
        **made(CASES[name]),
    )
    check(norms, reference)
    clipped = [step for step in norms.records[0].since_log if step.after < step.before * (1 - 1e-6)]
    assert bool(clipped) == ("gradient_clip_val" in CASES[name])
    assert any(step.skipped for step in norms.records[0].since_log) == ("scaler" in name)


@pytest.mark.parametrize("foreign", [False, True])
def test_equal_to_float64_where_torch_is_not(tmp_path: Path, foreign: bool) -> None:
    """768,000 weights in one tensor: torch's float32 norm on a CPU is off by more than 1e-6."""
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 12000), nn.Tanh(), nn.Linear(12000, 10))
    module = Foreign() if foreign else classifier(wide)
    module.net = wide if foreign else None  # type: ignore[assignment]
    norms, reference = GradientNorm(by_layer=True), Reference()
    fit(tmp_path, module, [norms, reference], limit_train_batches=3, log_every_n_steps=1000, gradient_clip_val=0.4)
    check(norms, reference)


@pytest.mark.parametrize("flags", [{}, {"plugins": half_precision}], ids=["fp32", "scaler"])
def test_fused_optimizer(tmp_path: Path, flags: dict[str, Any]) -> None:
    """A fused optimizer unscales inside its step, so the gradients before it are scaled."""
    norms, reference = GradientNorm(), Reference()
    fit(tmp_path, Foreign(fused=True), [norms, reference], log_every_n_steps=1000, **made(flags))
    check(norms, reference)
    assert any(step.skipped for step in norms.records[0].since_log) == bool(flags)


@pytest.mark.parametrize("flags", [{}, {"gradient_clip_val": 0.4}, CASES["fp32, value"]], ids=["off", "norm", "value"])
@pytest.mark.parametrize("foreign", [False, True])
def test_by_layer(tmp_path: Path, flags: dict[str, Any], foreign: bool) -> None:
    norms, reference = GradientNorm(by_layer=True), Reference()
    module = Foreign() if foreign else classifier()
    fit(tmp_path, module, [norms, reference], log_every_n_steps=5, **flags)
    logged = rows(tmp_path)
    assert len(logged) == 4
    for row, layers, before, after in zip(
        logged, reference.layers[4::5], reference.before[4::5], reference.after[4::5], strict=True
    ):
        found = {key.removeprefix("grad_norm/layer/"): float(row[key]) for key in row if "norm/layer/" in key}
        assert found.keys() == layers.keys()
        assert all(close(found[name], layers[name]) for name in layers)
        assert math.isclose(math.hypot(*found.values()), before, rel_tol=1e-6)
        clipped = [float(row[key]) for key in row if "norm/layer_clipped/" in key]
        assert math.isclose(math.hypot(*clipped), after, rel_tol=1e-6)


def test_layers_in_tensorboard(tmp_path: Path) -> None:
    fit(tmp_path, callbacks=[GradientNorm(by_layer=True)], logger=TensorBoardLogger(tmp_path, name="", version=""))
    events = EventAccumulator(str(tmp_path)).Reload()
    layers = {tag.removeprefix("grad_norm/layer/") for tag in events.Tags()["scalars"] if "norm/layer/" in tag}
    assert layers == {f"network.{name}" for name in ("body.0", "body.1", "body.5", "head")}
    head = events.Scalars("grad_norm/layer/network.head")
    assert [event.step for event in head] == [3, 7, 11, 15, 19]  # as for everything that the trainer logs
    assert all(event.value > 0 for event in head)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open() as file:
        return [row for row in csv.DictReader(file) if row.get("grad_norm/nonfinite")]


def test_logged_means_leave_infinities_out(tmp_path: Path) -> None:
    norms, reference = GradientNorm(), Reference()
    fit(tmp_path, classifier(), [norms, reference], log_every_n_steps=4, plugins=half_precision())
    logged = rows(tmp_path)
    assert len(logged) == 5
    for row, start in zip(logged, range(0, 20, 4), strict=True):
        window = reference.before[start : start + 4]
        finite = [norm for norm in window if math.isfinite(norm)]
        assert float(row["grad_norm/nonfinite"]) == 4 - len(finite)
        if finite:
            assert close(float(row["grad_norm/total"]), sum(finite) / len(finite))
            assert close(float(row["grad_norm/max"]), max(finite))
        so_far = reference.after[: start + 4]
        assert float(row["grad_norm/skipped"]) == sum(math.isnan(norm) for norm in so_far)
    assert float(logged[0]["grad_norm/nonfinite"]) > 0
    assert float(logged[-1]["grad_norm/scale"]) < 2.0**24


def test_the_host_waits_once_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The callback copies to the host only when it logs, five norms at once."""
    from callbacks.gradients import record as norm_record

    reads: list[int] = []
    original = norm_record.to_host

    def counted(tensors: list[Tensor]) -> list[float]:
        reads.append(len(tensors))
        return original(tensors)

    monkeypatch.setattr(norm_record, "to_host", counted)
    norms = GradientNorm()
    seed_everything(1, verbose=False)
    trainer_in(tmp_path, [norms], log_every_n_steps=5).fit(classifier(), data())
    assert [number for number in reads if number] == [5, 5, 5, 5]


def test_a_resumed_run_reports_on_all_steps(tmp_path: Path) -> None:
    whole, first, second = GradientNorm(), GradientNorm(), GradientNorm()
    fit(tmp_path / "whole", plain(), [whole])
    seed_everything(1, verbose=False)
    trainer = trainer_in(tmp_path / "first", [first], max_epochs=1)
    trainer.fit(plain(), data())
    trainer.save_checkpoint(tmp_path / "mid.ckpt")
    resumed = trainer_in(tmp_path / "second", [second])
    resumed.fit(plain(), data(), ckpt_path=str(tmp_path / "mid.ckpt"))
    assert list(second.records[0].norms) == list(whole.records[0].norms)
    assert len(first.records[0].norms) == 10
    assert rows(tmp_path / "second") == rows(tmp_path / "whole")[2:]


def plain() -> LightningModule:
    torch.manual_seed(1)
    return classifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), scheduler=None)


class TwoOptimizers(LightningModule):
    """Manual optimization of two networks, as in adversarial training."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = Network(), Network()
        self.automatic_optimization = False

    def training_step(self, batch: list[Tensor], batch_idx: int) -> None:
        for optimizer, net in zip(self.optimizers(), (self.one, self.two), strict=True):  # type: ignore[arg-type]
            optimizer.zero_grad()
            self.manual_backward(nn.functional.cross_entropy(net(batch[0]), batch[1]))
            self.clip_gradients(optimizer, 0.5, "norm")
            optimizer.step()

    def configure_optimizers(self) -> list[Optimizer]:
        return [torch.optim.SGD(self.one.parameters(), lr=0.1), torch.optim.Adam(self.two.parameters())]


def test_two_optimizers_in_manual_optimization(tmp_path: Path) -> None:
    norms = GradientNorm()
    fit(tmp_path, TwoOptimizers(), [norms])
    with (tmp_path / "metrics.csv").open() as file:
        logged = [row for row in csv.DictReader(file) if row.get("grad_norm/1/total")]
    assert len(logged) == 5
    assert all(len(record.norms) == 20 for record in norms.records)
    assert all(0.1 < float(row["grad_norm/0/max"]) <= 0.5 + 1e-6 for row in logged)


def test_report_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, callbacks=[GradientNorm()], gradient_clip_val=0.01)
    text = (tmp_path / "clipping.txt").read_text()
    assert text in capsys.readouterr().out
    assert "20 steps" in text
    assert "clipping by norm at 0.01; 100.0% of the steps clipped" in text
    assert "acts as a smaller learning rate" in text


def test_report_in_words() -> None:
    light = clipping_report([1.0, 2.0] * 50, 0, None)
    assert light.suggestion is None
    assert "nothing needs a bound" in light.reason
    assert light.quantiles[0.5] == 1.5
    heavy = clipping_report([1.0] * 97 + [40.0] * 3 + [math.inf], 0, None)
    assert (heavy.suggestion, heavy.nonfinite, heavy.steps) == (1.0, 1, 101)
    assert "40 times the median" in heavy.reason
    kept = clipping_report([1.0, 2.0] * 50, 5, 1.9)
    assert (kept.suggestion, kept.clipped) == (1.9, 0.05)
    assert "keep it" in kept.reason
    assert "the largest 5.0% of the steps" in kept.reason
    many = clipping_report([1.0, 2.0] * 50, 47, 1.5)
    assert many.suggestion == 2.0, "47 % are not rare"
    assert "47.0% of the steps are clipped, that is one in 2.1: ordinary steps too" in many.reason
    assert "Set trainer.gradient_clip_val to 2, which clips one in ten" in many.reason
    assert "No step reached 5" in clipping_report([1.0, 2.0] * 50, 0, 5.0).reason
    few = clipping_report([1.0] * 3, 0, None)
    assert "too few" in few.reason
    assert clipping_report([], 0, None).steps == 0


def test_without_logging_norms_are_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbacks.gradients.gradient_norm.MOST_UNREAD", 3)
    callback, kept = GradientNorm(report=False), []

    class Watch(Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            kept.append(len(callback.records[0].unread))

    module = SupervisedModule(nn.Linear(1, 1), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(8, 1), torch.zeros(8, 1)))
    trainer = quiet_trainer(max_epochs=1, log_every_n_steps=0, callbacks=[callback, Watch()])
    trainer.fit(module, loader)
    assert max(kept) == 2
    assert callback.records[0].since_log == []  # or every checkpoint would be larger than the one before
    assert len(callback.records[0].norms) == 8
