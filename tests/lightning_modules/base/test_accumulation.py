"""The gradient of an accumulation window is that of the mean over all its samples, as of one large batch in float64."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from callbacks import ExactResume
from lightning_modules import Segmenter
from lightning_modules.base.accumulation import mean_weight
from lightning_modules.base.supervised import SupervisedModule
from lightning_modules.losses import (
    DiceLoss,
    MSLELoss,
    ProbabilityBCELoss,
    RMSELoss,
    SigmoidCrossEntropyLoss,
    SigmoidFocalLoss,
    SoftmaxFocalLoss,
    WeightedCrossEntropyLoss,
)
from tests.datamodules.support import quiet_trainer
from tests.ranks.processes import ddp, in_processes

Batches = list[tuple[Tensor, Tensor]]
UNEVEN = (4, 4, 4, 2, 4, 1, 3, 4)
CLASSES, PIXELS = 3, 5


class Loader:
    """Batches in a fixed order."""

    def __init__(self, batches: Batches, known_length: bool = True) -> None:
        self.batches = batches
        if known_length:
            self.__class__ = _WithLength

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(self.batches)


class _WithLength(Loader):
    def __len__(self) -> int:
        return len(self.batches)


class Gradients(Callback):
    """Keeps the gradients of every optimizer step, as clipping gets them."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.seen.append(torch.cat([p.grad.flatten() for p in pl_module.parameters() if p.grad is not None]).clone())


def batches(
    sizes: tuple[int, ...], kind: str, ignored: int | None = None, dtype: torch.dtype = torch.float64, seed: int = 0
) -> Batches:
    """Inputs `(B, 7)` and targets for outputs `(B, 3, 5)`: classes, zeros and ones, shares of classes, or numbers."""
    g = torch.Generator().manual_seed(seed)
    made = []
    for size in sizes:
        inputs = torch.randn(size, 7, generator=g, dtype=dtype)
        if kind == "classes":
            target = torch.randint(0, CLASSES, (size, PIXELS), generator=g)
        elif kind == "shares":
            target = torch.rand(size, CLASSES, PIXELS, generator=g, dtype=dtype).softmax(1)
        else:
            target = torch.rand(size, CLASSES, PIXELS, generator=g, dtype=dtype)
            target = target.round() if kind == "binary" else target
        if ignored is not None:
            target[torch.rand(target.shape, generator=g) < 0.4] = ignored
        made.append((inputs, target))
    return made


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(7, CLASSES * PIXELS), nn.Tanh(), nn.Unflatten(1, (CLASSES, PIXELS)))


def gradient_of(loss: nn.Module, window: Batches) -> Tensor:
    """The gradient of one batch that holds all samples of the window."""
    big = network().double()
    output = big(torch.cat([inputs for inputs, _ in window]).double())
    loss(output, torch.cat([target for _, target in window])).backward()
    return torch.cat([p.grad.flatten() for p in big.parameters() if p.grad is not None])


def windows_of(data: Batches, size: int) -> list[Batches]:
    return [data[first : first + size] for first in range(0, len(data), size)]


def fit(loss: nn.Module, data: Batches, accumulate: int, known_length: bool = True, **flags: Any) -> list[Tensor]:
    watch = Gradients()
    module = SupervisedModule(network(), loss, partial(torch.optim.SGD, lr=0.0))
    options: dict[str, Any] = {"max_epochs": 1, "precision": "64-true", "accumulate_grad_batches": accumulate} | flags
    if options["accumulate_grad_batches"] is None:
        del options["accumulate_grad_batches"]
    options["callbacks"] = [*options.get("callbacks", []), watch]
    quiet_trainer(**options).fit(module, Loader(data, known_length))
    return watch.seen


weighted = [0.2, 1.0, 3.0]
LOSSES: dict[str, tuple[Callable[[], nn.Module], str, int | None]] = {
    "cross-entropy": (nn.CrossEntropyLoss, "classes", None),
    "cross-entropy, ignored": (nn.CrossEntropyLoss, "classes", -100),
    "cross-entropy, weights": (
        lambda: nn.CrossEntropyLoss(torch.tensor(weighted, dtype=torch.float64), label_smoothing=0.1),
        "classes",
        -100,
    ),
    "cross-entropy, shares": (nn.CrossEntropyLoss, "shares", None),
    "nll": (lambda: nn.NLLLoss(ignore_index=1), "classes", None),
    "weighted": (lambda: WeightedCrossEntropyLoss(weighted, 0.1, ignore_index=255), "classes", 255),
    "weighted, shares": (lambda: WeightedCrossEntropyLoss(weighted), "shares", None),
    "focal": (lambda: SoftmaxFocalLoss(2.0, weighted, weighted, ignore_index=255), "classes", 255),
    "sigmoid": (lambda: SigmoidCrossEntropyLoss(weighted, ignore_index=-1), "binary", -1),
    "sigmoid, classes": (lambda: SigmoidCrossEntropyLoss(ignore_index=255), "classes", 255),
    "sigmoid focal": (lambda: SigmoidFocalLoss(2.0, 0.25, ignore_index=-1), "binary", -1),
    "bce": (lambda: nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0, dtype=torch.float64)), "binary", None),
    "mse": (nn.MSELoss, "numbers", None),
    "huber": (nn.HuberLoss, "numbers", None),
    "msle": (lambda: MSLELoss(floor=-0.5), "numbers", None),
    "dice per image": (lambda: DiceLoss("multilabel", per_image=True), "binary", None),
}


@pytest.mark.parametrize("name", LOSSES)
def test_each_window_is_one_large_batch(name: str) -> None:
    make, kind, ignored = LOSSES[name]
    data = batches(UNEVEN, kind, ignored)
    seen = fit(make(), data, 3)
    windows = windows_of(data, 3)
    assert len(seen) == len(windows) == 3
    for found, window in zip(seen, windows, strict=True):
        torch.testing.assert_close(found, gradient_of(make(), window), rtol=1e-11, atol=1e-14)


def test_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = network
    monkeypatch.setattr(f"{__name__}.network", lambda: nn.Sequential(plain(), nn.Sigmoid()))
    data = batches(UNEVEN, "numbers")
    for found, window in zip(fit(ProbabilityBCELoss(), data, 3), windows_of(data, 3), strict=True):
        torch.testing.assert_close(found, gradient_of(ProbabilityBCELoss(), window), rtol=1e-11, atol=1e-14)


def test_a_length_that_is_not_known() -> None:
    data = batches(UNEVEN, "classes")
    seen = fit(nn.CrossEntropyLoss(), data, 3, known_length=False)
    for found, window in zip(seen, windows_of(data, 3), strict=True):
        torch.testing.assert_close(found, gradient_of(nn.CrossEntropyLoss(), window), rtol=1e-11, atol=1e-14)


def test_a_root_is_the_mean_of_the_batches_roots_by_their_sizes() -> None:
    data = batches(UNEVEN, "numbers")
    for found, window in zip(fit(RMSELoss(), data, 3), windows_of(data, 3), strict=True):
        sizes = [len(inputs) for inputs, _ in window]
        each = [gradient_of(RMSELoss(), [batch]) * size for batch, size in zip(window, sizes, strict=True)]
        torch.testing.assert_close(found, torch.stack(each).sum(0) / sum(sizes), rtol=1e-11, atol=1e-14)


def test_a_sum_stays_a_sum_in_every_window() -> None:
    data = batches(UNEVEN, "numbers")
    loss = nn.MSELoss(reduction="sum")
    for found, window in zip(fit(loss, data, 3), windows_of(data, 3), strict=True):
        torch.testing.assert_close(found, gradient_of(loss, window) / 3, rtol=1e-11, atol=1e-14)


def test_even_full_windows_keep_lightnings_bits() -> None:
    data = batches((4,) * 8, "numbers", dtype=torch.float32)
    one = fit(nn.MSELoss(), data, 4, precision="32-true")
    module = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    module.accumulation.exact = False
    watch = Gradients()
    quiet_trainer(max_epochs=1, accumulate_grad_batches=4, callbacks=[watch]).fit(module, Loader(data))
    assert all(torch.equal(found, other) for found, other in zip(one, watch.seen, strict=True))


def test_a_window_without_a_label_has_no_gradient() -> None:
    data = batches((4, 4, 4), "classes")
    for _, target in data[:2]:
        target.fill_(255)
    first, last = fit(WeightedCrossEntropyLoss(ignore_index=255), data, 2)
    assert torch.equal(first, torch.zeros_like(first))
    torch.testing.assert_close(last, gradient_of(WeightedCrossEntropyLoss(), data[2:]), rtol=1e-11, atol=1e-14)


def test_an_empty_batch_does_not_count() -> None:
    data = batches((4, 0, 4, 2), "numbers")
    (found,) = fit(nn.MSELoss(), data, 4)
    torch.testing.assert_close(found, gradient_of(nn.MSELoss(), data), rtol=1e-11, atol=1e-14)


def test_a_plan_of_windows_and_several_epochs() -> None:
    data = batches(UNEVEN, "classes", -100)
    plan = GradientAccumulationScheduler({0: 1, 1: 3, 2: 5})
    seen = fit(nn.CrossEntropyLoss(), data, None, max_epochs=3, callbacks=[plan])  # type: ignore[arg-type]
    expected = [window for size in (1, 3, 5) for window in windows_of(data, size)]
    for found, window in zip(seen, expected, strict=True):
        torch.testing.assert_close(found, gradient_of(nn.CrossEntropyLoss(), window), rtol=1e-11, atol=1e-14)


def test_clipping_gets_the_window_and_a_scaler_changes_nothing() -> None:
    data = batches(UNEVEN, "classes", -100, torch.float32)
    scaler = MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=2.0**10))
    seen = fit(nn.CrossEntropyLoss(), data, 3, precision=None, plugins=[scaler], gradient_clip_val=1e-3)
    for found, window in zip(seen, windows_of(data, 3), strict=True):
        torch.testing.assert_close(found.double(), gradient_of(nn.CrossEntropyLoss(), window), rtol=2e-2, atol=1e-3)


def test_the_norm_that_is_logged_is_the_windows() -> None:
    data = batches((4, 4, 1), "numbers")
    module = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    quiet_trainer(max_epochs=1, accumulate_grad_batches=8, precision="64-true", gradient_clip_val=0.01).fit(
        module, Loader(data)
    )
    assert module.grad_norm is not None
    torch.testing.assert_close(module.grad_norm, gradient_of(nn.MSELoss(), data).norm())


def test_a_task_weighs_the_targets_that_its_loss_gets() -> None:
    task = Segmenter(nn.Identity(), partial(torch.optim.SGD, lr=0.0))
    target = torch.tensor([[[0, 1], [255, 255]]])
    assert mean_weight(task.loss, torch.zeros(1, 2, 2, 2), target) == 0.5


# -- resume ------------------------------------------------------------------------------------------------------------


class SaveInAWindow(Callback):
    """Saves after the second batch of the last window."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch_idx == 6 and trainer.current_epoch == 0:
            trainer.save_checkpoint(self.path)


class Resumable(LightningDataModule):
    """Skips the seven batches that the checkpoint's run has seen, as Descent's data modules do."""

    def __init__(self, batches: Batches) -> None:
        super().__init__()
        self.batches, self.first = batches, 0

    def train_dataloader(self) -> "Resumable":
        return self

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        first, self.first = self.first, 0  # at the first batch: Lightning makes iterators that it does not use
        yield from self.batches[first:]

    def state_dict(self) -> dict[str, int]:
        return {"first": 7}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.first = state["first"]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("ignored", [None, -100])
def test_a_resume_in_the_middle_of_a_window(tmp_path: Path, ignored: int | None) -> None:
    data = batches(UNEVEN, "classes", ignored)
    path = tmp_path / "window.ckpt"

    def run(resume: Path | None, *extra: Callback) -> list[Tensor]:
        # double: Lightning loads a checkpoint before it converts the module for 64-true
        module = SupervisedModule(network().double(), nn.CrossEntropyLoss(), partial(torch.optim.SGD, lr=0.1))
        watch = Gradients()
        options: dict[str, Any] = {"max_epochs": 2, "precision": "64-true", "accumulate_grad_batches": 5}
        trainer = quiet_trainer(**options, default_root_dir=tmp_path, callbacks=[*extra, ExactResume(seed=1), watch])
        trainer.fit(module, Resumable(data), ckpt_path=resume)
        return watch.seen

    whole = run(None, SaveInAWindow(path))
    resumed = run(path)
    assert len(whole) == 4
    assert len(resumed) == 3
    assert all(torch.equal(found, other) for found, other in zip(resumed, whole[1:], strict=True))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_run_of_an_earlier_version_keeps_its_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = batches((4,) * 5, "numbers")
    path = tmp_path / "earlier.ckpt"
    module = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    module.accumulation.exact = False
    options: dict[str, Any] = {"precision": "64-true", "accumulate_grad_batches": 4}
    trainer = quiet_trainer(max_epochs=1, **options)
    trainer.fit(module, Loader(data))
    trainer.save_checkpoint(path)
    assert "accumulation" not in torch.load(path, weights_only=False)
    watch = Gradients()
    again = SupervisedModule(network(), nn.MSELoss(), partial(torch.optim.SGD, lr=0.0))
    quiet_trainer(max_epochs=2, **options, callbacks=[watch]).fit(again, Loader(data), ckpt_path=path)
    torch.testing.assert_close(watch.seen[-1], gradient_of(nn.MSELoss(), data[4:]) / 4)
    assert not again.accumulation.state_dict(again.trainer)


# -- several processes -------------------------------------------------------------------------------------------------


def of_rank(rank: int, count: int, folder: str) -> list[Tensor]:
    sizes = UNEVEN if rank == 0 else (1, 4, 2, 4, 3, 2, 4, 1)
    data = batches(sizes, "classes", -100, seed=rank)
    return fit(nn.CrossEntropyLoss(), data, 3, strategy=ddp(), devices=count)


def test_two_processes_have_the_gradient_of_all_their_samples(tmp_path: Path) -> None:
    first, second = in_processes(2, of_rank, tmp_path)
    mine, other = batches(UNEVEN, "classes", -100), batches((1, 4, 2, 4, 3, 2, 4, 1), "classes", -100, seed=1)
    for window, (found, same) in enumerate(zip(first, second, strict=True)):
        assert torch.equal(found, same)
        both = windows_of(mine, 3)[window] + windows_of(other, 3)[window]
        torch.testing.assert_close(found, gradient_of(nn.CrossEntropyLoss(), both), rtol=1e-6, atol=1e-9)
