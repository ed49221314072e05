"""The GAN against a loop written by hand: the same bits; its steps, clipping, accumulation, scaler, resume, images."""

import copy
import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn
from torch.optim import Optimizer

from callbacks import ExactResume, GradientNorm, find_lr
from callbacks.checkpointing.difference import differences, meaningful
from callbacks.learning_rate.sweep import LRSweep
from foundation.trial.fit import trial_fit
from lightning_modules import GAN
from lightning_modules.losses import HingeAdversarialLoss, LeastSquaresLoss, NonSaturatingLoss
from lightning_modules.schedulers import Cosine, Plateau, TorchSchedule
from tests.callbacks.resuming.resume_case import CopyEverySave
from tests.lightning_modules.adversarial.gan_case import ADAM, SGD, Batches, data, made, trainer


def by_hand(
    gan: GAN, batches: list[Tensor], clip: Callable[[Any], Any] | None, parts: int, half_after: int
) -> dict[str, Tensor]:
    """Goodfellow's algorithm in plain torch, both rates halved after some steps."""
    generator, discriminator = gan.generator.train(), gan.discriminator.train()
    of_g, of_d = ADAM(generator.parameters()), SGD(discriminator.parameters())
    softplus = nn.functional.softplus
    for step, batch in enumerate(batches):
        torch.manual_seed(1000 + step)
        of_d.zero_grad()
        for real in batch.chunk(parts):
            with torch.no_grad():
                fake = generator(torch.randn(len(real), 8))
            loss = softplus(-discriminator(real)).mean() + softplus(discriminator(fake)).mean()
            (loss * (len(real) / len(batch))).backward()
        if clip:
            clip(discriminator.parameters())
        of_d.step()
        of_g.zero_grad()
        for real in batch.chunk(parts):
            loss = softplus(-discriminator(generator(torch.randn(len(real), 8)))).mean()
            (loss * (len(real) / len(batch))).backward()
        if clip:
            clip(generator.parameters())
        of_g.step()
        if step + 1 == half_after:
            for group in [*of_g.param_groups, *of_d.param_groups]:
                group["lr"] /= 2
    return {**generator.state_dict(prefix="generator."), **discriminator.state_dict(prefix="discriminator.")}


CLIPS: dict[str, Any] = {
    "none": (None, {}),
    "norm": (partial(nn.utils.clip_grad_norm_, max_norm=0.003), {"gradient_clip_val": 0.003}),
    "value": (
        partial(nn.utils.clip_grad_value_, clip_value=1e-4),
        {"gradient_clip_val": 1e-4, "gradient_clip_algorithm": "value"},
    ),
}


@pytest.mark.parametrize(("clip", "parts"), [("none", 1), ("norm", 1), ("value", 2), ("norm", 3)])
def test_training_equals_a_loop_by_hand_bit_by_bit(clip: str, parts: int, tmp_path: Path) -> None:
    halve = TorchSchedule(partial(torch.optim.lr_scheduler.StepLR, step_size=4, gamma=0.5), interval="step")
    cut, options = CLIPS[clip]
    gan = made(generator_scheduler=halve, discriminator_scheduler=halve, accumulate=parts, **options)
    copied, batches = copy.deepcopy(gan), Batches()
    run = trainer(tmp_path, batches)
    run.fit(gan, data())
    expected = by_hand(copied, batches.seen, cut, parts, half_after=4)
    unequal = [name for name, value in gan.state_dict().items() if not torch.equal(value, expected[name])]
    assert unequal == []
    assert run.global_step == len(batches.seen) == 6
    assert [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers] == [5e-3, 0.05]


def test_counts_generator_steps_everywhere(tmp_path: Path) -> None:
    module = made(generator_scheduler=Cosine(), discriminator_scheduler=Cosine())
    run = trainer(tmp_path, max_epochs=-1, max_steps=10, limit_train_batches=4)
    run.fit(module, data())
    assert run.global_step == 10
    assert [optimizer.param_groups[0]["lr"] for optimizer in run.optimizers] == [0, 0]  # the run length was 10 steps
    with (tmp_path / "metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["train/generator_loss_step"]]
    assert [int(row["step"]) for row in rows] == list(range(10))
    rates = [float(row["lr/generator"]) for row in rows]
    assert rates == pytest.approx([0.01 * (1 + torch.tensor(torch.pi * k / 10).cos().item()) / 2 for k in range(10)])


def test_logs_every_metric_it_names(tmp_path: Path) -> None:
    module = made(generator_scheduler=Plateau(monitor="val/sliced_wasserstein", patience=50))
    run = trainer(tmp_path)
    run.fit(module, data())
    assert set(run.callback_metrics) >= module.logged_metrics()
    assert all(value.isfinite() for value in run.callback_metrics.values())
    (measured,) = run.test(module, data(), verbose=False)
    assert set(measured) == {f"test/{name}" for name in module.metric_names()}


@pytest.mark.parametrize(("loss", "logit"), [(NonSaturatingLoss(), 0.0), (HingeAdversarialLoss(), 0.0), (LeastSquaresLoss(), 0.5)])  # fmt: skip
def test_the_discriminator_is_right_on_its_side_of_the_boundary(loss: Any, logit: float) -> None:
    assert loss.boundary == logit
    above, below = torch.tensor([logit + 0.1], requires_grad=True), torch.tensor([logit - 0.1], requires_grad=True)
    # there the two terms of an undecided discriminator balance: told real, the logit rises as much as told fake it falls
    half = torch.tensor([logit], requires_grad=True)
    loss.discriminator(half, half).backward()
    assert half.grad is not None
    assert half.grad.item() == pytest.approx(0)
    assert loss.discriminator(above, below) < loss.discriminator(below, above)


class StepNorms(Callback):
    """The norm of what each optimizer steps with."""

    def __init__(self) -> None:
        self.norms: list[list[float]] = [[], []]

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        for optimizer, norms in zip(trainer.optimizers, self.norms, strict=True):
            optimizer.register_step_post_hook(partial(self.note, norms))

    def note(self, norms: list[float], optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        grads = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(float(nn.utils.get_total_norm(grads)))


def scaled(scale: float) -> MixedPrecision:
    return MixedPrecision("16-mixed", device="cpu", scaler=torch.amp.GradScaler("cpu", init_scale=scale))


def test_clips_unscaled_gradients_under_a_scaler(tmp_path: Path) -> None:
    steps, norm = StepNorms(), GradientNorm(report=False)
    run = trainer(tmp_path, steps, norm, plugins=[scaled(2.0**10)])
    run.fit(made(gradient_clip_val=0.002), data())
    for record, norms in zip(norm.records, steps.norms, strict=True):
        before = record.norms.tolist()
        assert len(before) == len(norms) == 6
        assert min(before) > 0.002  # as they are without the scale, and from before the clip
        assert max(before) < 20
        assert norms == pytest.approx([0.002] * 6, rel=2e-3)
    assert {"grad_norm/0/total", "grad_norm/1/clipped"} <= set(run.callback_metrics)


def test_steps_that_the_scaler_skips_do_not_advance_the_schedule(tmp_path: Path) -> None:
    module = made(generator_scheduler=Cosine(), discriminator_scheduler=Cosine())
    run = trainer(tmp_path, plugins=[scaled(2.0**60)])
    run.fit(module, data())
    taken = [network.steps.taken for network in module.optimized_networks if network.steps]
    assert run.global_step == 6
    assert max(taken) < 6
    for count, network in zip(taken, module.optimized_networks, strict=True):
        assert network.schedule is not None
        assert network.schedule["scheduler"].last_epoch == count
    assert run.callback_metrics["skipped_steps/generator"] == 6 - taken[0]


def test_a_resumed_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    def fit(folder: Path, resume: Path | None = None) -> dict[str, Any]:
        torch.manual_seed(7 if resume else 1)
        module = made(generator_scheduler=Cosine(), discriminator_scheduler=Plateau(monitor="val/sliced_wasserstein"))
        saves = CopyEverySave(folder / "kept", monitor="val/sliced_wasserstein", every_n_train_steps=2)
        run = trainer(folder, ExactResume(seed=5), saves, max_epochs=3, limit_train_batches=5)
        run.fit(module, data(), ckpt_path=str(resume) if resume else None)
        checkpoint: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        return checkpoint | {"metrics": dict(run.callback_metrics)}

    whole = fit(tmp_path / "whole")
    kept = sorted((tmp_path / "whole" / "kept").iterdir())
    points = [kept[1], next(path for path in kept if path.name.endswith("end.ckpt"))]
    assert points[0].name == "0-004-step.ckpt"
    for number, point in enumerate(points):
        again = fit(tmp_path / str(number), point)
        assert meaningful(differences(again, whole)) == []


class LastRates(LRSweep):
    """A sweep that tells the optimizers' rates at its end."""

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        self.last = [optimizer.param_groups[0]["lr"] for optimizer in trainer.optimizers]


@pytest.mark.parametrize("number", [0, 1])
def test_a_range_test_changes_one_learning_rate_only(number: int) -> None:
    module = made(generator_scheduler=Cosine(), discriminator_scheduler=Cosine())
    sweep = LastRates(np.linspace(1e-4, 1e-3, 20), number)
    trial_fit(module, data(), sweep, seed=0, accelerator="cpu")
    assert len(sweep.losses) == 20
    assert np.isfinite(sweep.losses).all()
    assert sweep.last[number] == 1e-3
    assert sweep.last[1 - number] == (0.01, 0.1)[1 - number]


def test_the_finder_finds_a_rate_for_the_discriminator_and_changes_nothing() -> None:
    module = made(discriminator_scheduler=Cosine(), discriminator_optimizer=ADAM)
    before = copy.deepcopy(module.state_dict())
    search = find_lr(module, data(), steps=80, repeats=1, low=1e-4, high=10.0, optimizer=1, accelerator="cpu")
    assert 1e-4 < search.pick < 0.1
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
