"""`descent profile`: time per part, operation counts, advice, and nothing of the user's is changed."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelSummary
from schedulefree import AdamWScheduleFree
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

import cli
from callbacks import SWA, GradientNorm
from datamodules import DigitsDataModule
from descent import presets
from descent.allocator import SWITCH
from descent.profiling import advice, step_profiler
from descent.profiling.advice import ProfiledRun, advise
from descent.profiling.measurement import StepTiming, time_steps
from descent.profiling.peak import peak_flops
from descent.profiling.profile import StepProfile
from descent.profiling.step_profiler import PARTS, StepProfiler
from descent.training.trainer import Trainer
from foundation.random_streams import random_state
from lightning_modules import ImageClassifier
from lightning_modules.networks.amx_convolution import use_amx_convolution
from lightning_modules.optimizers.implementation import choose_implementation


def module(network: nn.Module | None = None, **options: Any) -> ImageClassifier:
    network = network or nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    return ImageClassifier(network, partial(torch.optim.SGD, lr=0.1), **options)


def trainer(**options: Any) -> Trainer:
    return Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, **options)


def test_time_counts_for_the_innermost_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(step_profiler.time, "perf_counter", lambda: float(next(now)))  # type: ignore[attr-defined]
    profiler = StepProfiler()
    with profiler.profile("run_training_batch"):  # belongs to no part
        with profiler.profile("[LightningModule]ImageClassifier.optimizer_step"):
            with profiler.profile("[Strategy]SingleDeviceStrategy.training_step"), profiler.profile("forward"):
                pass
            with profiler.profile("[Strategy]SingleDeviceStrategy.backward"):
                pass
        with profiler.profile("[Callback]GradientNorm{'a': 1.5}.on_train_batch_end"):
            pass
    # Each reading of the clock is one second later.
    assert profiler.seconds == {
        "Lightning's loop": 4, "optimizer": 3, "rest of training_step": 2, "forward": 1, "backward": 1, "callbacks": 1,
    }  # fmt: skip
    assert profiler.callbacks == {"GradientNorm": 1}
    assert set(profiler.seconds) <= set(PARTS)


def test_operations_and_parts_of_a_linear_layer() -> None:
    found = time_steps(
        module(), DigitsDataModule(batch_size=32), trainer(callbacks=[GradientNorm()]), steps=4, seconds=60
    )  # fmt: skip
    assert (found.steps, found.samples) == (4, 32)
    assert found.flops == 2 * (2 * 32 * 64 * 10)  # outputs and gradients of the weights, but no gradient of the images
    assert all(found.seconds[part] > 0 for part in ("waiting for data", "forward", "loss", "backward", "clipping"))
    assert sum(found.share(part) for part in PARTS) == pytest.approx(1)
    assert "GradientNorm" in found.callbacks


def test_module_data_and_random_state_are_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model, data, run = module(), DigitsDataModule(), trainer()
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    attributes, state = set(vars(data)), random_state()
    time_steps(model, data, run, steps=3, seconds=60)
    assert all(torch.equal(weights[name], value) for name, value in model.state_dict().items())
    assert set(vars(data)) == attributes
    assert data.train_set is None
    after = random_state()
    assert state["python"] == after["python"]
    assert torch.equal(state["torch"], after["torch"])
    assert (state["numpy"][1] == after["numpy"][1]).all()
    assert run.global_step == 0
    assert not list(tmp_path.iterdir())
    assert not model.network._forward_hooks


class Theirs(LightningModule):
    """A module of a user's, with its own names."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.criterion = nn.Linear(64, 10), nn.CrossEntropyLoss()

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        loss: Tensor = self.criterion(self.body(batch[0].flatten(1)), batch[1])
        self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return AdamWScheduleFree(self.parameters(), lr=0.01)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["theirs", "ours"])
def test_a_users_module_and_what_a_fit_adds(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    # A schedule-free optimizer needs train(); SWA and a summary need a run, which a measurement is not.
    ours = ImageClassifier(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), partial(AdamWScheduleFree, lr=0.01))
    run = trainer(callbacks=[SWA(), ModelSummary()])
    found = time_steps(Theirs() if kind == "theirs" else ours, DigitsDataModule(batch_size=32), run, 3, 60)
    assert found.seconds["forward"] > 0
    assert found.seconds["loss"] > 0
    assert "Trainable params" not in capsys.readouterr().out


def test_an_exception_ends_the_count_of_operations() -> None:
    class Failing(nn.Linear):
        def forward(self, figures: Tensor) -> Tensor:
            raise RuntimeError("within a step")

    with pytest.raises(RuntimeError, match="within a step"):
        time_steps(module(Failing(64, 10), num_classes=10), DataLoader(Slow()), trainer(), steps=3, seconds=60)
    assert torch.utils._python_dispatch._get_current_dispatch_mode() is None


class Slow(Dataset[tuple[Tensor, int]]):
    """Samples that take long to compute."""

    def __len__(self) -> int:
        return 256

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return torch.randn(200, 200).matmul(torch.randn(200, 200)).flatten()[:64], 1


class SlowData(DigitsDataModule):
    """Loads the slow samples with the given number of workers."""

    def train_dataloader(self) -> Any:
        return DataLoader(Slow(), 16, num_workers=self.num_workers)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch


def advice_for(measured: StepTiming, model: LightningModule, **options: Any) -> list[str]:
    run = ProfiledRun(model, DigitsDataModule(), trainer(**options), steps=3, seconds=1)
    return [str(each) for each in advise(run, measured, tries=False)[0]]


def measured(**seconds: float) -> StepTiming:
    spent = {name.replace("_", " "): value for name, value in seconds.items()}
    return StepTiming(steps=10, samples=64, seconds=spent, flops=10**6, faults=5000, system=0.4)


def test_slow_data_is_detected() -> None:
    run = ProfiledRun(module(), SlowData(), trainer(), steps=5, seconds=60)
    found = run.measure()
    assert found.share("waiting for data") > 0.3
    texts = [str(each) for each in advise(run, found, tries=False)[0]]
    assert any("batches wait for data" in text and "raise --data.num_workers from 0 to" in text for text in texts)


def test_no_advice_if_nothing_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "usable_cores", lambda: 1)
    monkeypatch.delenv(SWITCH, raising=False)
    good = measured(forward=1.0, backward=2.0)
    assert advice_for(good, module(nn.Sequential(nn.Conv2d(1, 2, 3))), precision="bf16-mixed") == []


def test_advice_that_applies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "usable_cores", lambda: 8)
    monkeypatch.setattr(advice, "cpu_has_bf16", lambda: True)
    monkeypatch.setenv(SWITCH, "system")
    bad = measured(forward=1.0, backward=1.0, logging=0.5, callbacks=1.5)
    bad.callbacks = {"Diagnostics": 1.2, "GradientNorm": 0.3}
    texts = advice_for(bad, module(nn.Sequential(nn.Conv2d(1, 2, 3)), channels_last=False))
    for expected in (
        "channels_last is off",
        "bf16 autocast is not used",
        "1 of 8 cores compute: OMP_NUM_THREADS=8",
        "the allocator is off (DESCENT_ALLOCATOR=system): 5,000 page faults a step, 40% of the time",
        "logging takes 12% of the time: --trainer.log_every_n_steps 500",
        "callbacks take 38% of the time, Diagnostics alone 30%",
        "50% of a step does not grow with the batch: --data.batch_size 512",
    ):
        assert any(text.startswith(expected) for text in texts), (expected, texts)
    many = measured(forward=1.0)
    many.threads = 16
    assert "16 threads share 8 cores: OMP_NUM_THREADS=8" in advice_for(many, module(), precision="bf16-mixed")


def test_plain_convolutions_on_amx_are_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "cpu_has_amx", lambda: True)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 1))
    found = " ".join(advice_for(measured(forward=1.0), module(network), precision="bf16-mixed"))
    assert "the weight gradient of 2 plain 3×3 convolutions is slow" in found
    assert "plain 3×3" not in " ".join(advice_for(measured(forward=1.0), module(network)))  # in float32
    found = " ".join(advice_for(measured(forward=1.0), module(use_amx_convolution(network)), precision="bf16-mixed"))
    assert "plain 3×3" not in found


@pytest.mark.parametrize("given", [{"fused": False}, {"foreach": True}, {"foreach": False}])
def test_a_fused_optimizer_is_tried(given: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = module()
    model.optimizer = partial(torch.optim.AdamW, lr=1e-3, **given)
    run = ProfiledRun(model, DigitsDataModule(), trainer(), steps=3, seconds=1)
    tried: list[LightningModule] = []

    def measure(seconds: float | None = None, data: Any = None, **changed: Any) -> StepTiming:
        if "adjust" in changed:
            changed["adjust"](model)
            tried.append(model)
        return measured(forward=1.0)

    monkeypatch.setattr(advice, "usable_cores", lambda: 1)
    monkeypatch.setattr(run, "measure", measure)
    texts = [str(each) for each in advise(run, measured(forward=1.0))[1]]
    assert any(text.startswith("AdamW could be fused, but the config prevents it: leave out its") for text in texts)
    assert tried
    assert choose_implementation(model.optimizer, [torch.zeros(1)]) == {"fused": True}


def test_a_change_is_tried_and_its_gain_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "usable_cores", lambda: 1)
    monkeypatch.setattr(advice, "cpu_has_bf16", lambda: False)
    rates = iter([100.0, 400.0, 100.0, 100.0])  # without and with the change, twice
    run = ProfiledRun(module(), DigitsDataModule(), trainer(), steps=3, seconds=1)
    seen: list[Any] = []

    def measure(seconds: float | None = None, data: Any = None, **changed: Any) -> StepTiming:
        seen.append(data)
        return StepTiming(1, 100, {"forward": 100 / next(rates)})

    monkeypatch.setattr(run, "measure", measure)
    found, useless = advise(run, measured(forward=1.0, optimizer=1.0))
    assert [each.gain for each in found] == pytest.approx([2.0])
    assert str(found[0]).endswith("(tried here: 2.00 times as fast)")
    assert not useless
    assert [data.batch_size for data in seen if data is not None] == [4 * run.data.batch_size] * 2
    rates = iter([100.0, 90.0, 100.0, 90.0])
    assert [each.gain for each in advise(run, measured(forward=1.0, optimizer=1.0))[1]] == pytest.approx([0.9])


def test_a_load_by_other_processes_is_reported() -> None:
    found = measured(forward=1.0)
    peaks = {"fp32": {"matrix product": 1e9}}
    line = "other processes kept 1.4 cores busy: measure again when they have finished"
    assert StepProfile(found, "fp32", peaks, "cpu", [], [], others=1.4).lines()[-1] == line
    for others in (None, 0.1):
        assert "other processes" not in "\n".join(
            StepProfile(found, "fp32", peaks, "cpu", [], [], others=others).lines()
        )


def test_peak_flops_are_plausible() -> None:
    found = peak_flops(torch.device("cpu"), "fp32", seconds=0.02)
    assert all(1e8 < value < 1e14 for value in found.values())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    short = ["--trainer.accelerator", "cpu", "--steps", "3", "--tries", "false"]
    cli.main(["profile", "-c", "configs/quickstart.yaml", *short])
    folder = tmp_path / "runs/quickstart/0"
    assert {file.name for file in folder.iterdir()} == {"profile.json", "profile.png"}
    shown = capsys.readouterr().out
    assert all(part in shown for part in PARTS)
    assert max(len(line) for line in shown.splitlines() if line.startswith("  ") and "█" in line) <= 100
    found = json.loads((folder / "profile.json").read_text())
    assert sum(found["shares"].values()) == pytest.approx(1)
    assert 0 < found["share_of_peak"] < 1
    # A saved run's config has keys (ckpt_path, weights_only) that the command must take.
    saved = tmp_path / "saved.yaml"
    saved.write_text("ckpt_path: null\nweights_only: null\n" + (presets.SHIPPED / "quickstart.yaml").read_text())
    capsys.readouterr()
    cli.main(["profile", "-c", str(saved), *short, "--out", "here", "--json", "true"])
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "here/profile.json").read_text())
    assert not (tmp_path / "runs/saved").exists()
    with pytest.raises(SystemExit) as ended:
        cli.main(["profile", "-c", "configs/quickstart.yaml", "--trainer.accelerator", "cpu", "--steps", "1"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().endswith("error: --steps must be in [3, 10000], got 1.")
