"""The gradient of an accumulation window is that of the mean over all its samples, as of one large batch in float64."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.plugins import MixedPrecision
from torch import nn

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
from tests.lightning_modules.base.accumulation_case import (
    UNEVEN,
    Gradients,
    Loader,
    batches,
    fit,
    gradient_of,
    network,
    windows_of,
)

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
    monkeypatch.setattr(
        "tests.lightning_modules.base.accumulation_case.network", lambda: nn.Sequential(plain(), nn.Sigmoid())
    )
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


# -- several processes -------------------------------------------------------------------------------------------------
